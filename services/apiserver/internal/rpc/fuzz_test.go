package rpc_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// Whatever message a client sends, each call in it is answered once, and no answer
// says that the server broke.
func FuzzExchange(f *testing.F) {
	raw, err := (&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	key := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "a"}
	object := &anypb.Any{TypeUrl: prefix + cmType, Value: raw}
	for _, op := range []*apiv1.Operation{
		{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{Object: object}}},
		{Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{Object: object, Key: key}}},
		{Request: &apiv1.Operation_UpdateStatus{UpdateStatus: &apiv1.UpdateStatusRequest{Object: object}}},
		{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{Key: key, Type: apiv1.PatchType_PATCH_TYPE_MERGE, Patch: []byte(`{"data":{"x":"y"}}`)}}},
		{Request: &apiv1.Operation_Delete{Delete: &apiv1.DeleteRequest{Key: key}}},
	} {
		calls := []*apiv1.Call{
			{Id: 1, Request: &apiv1.Call_Operation{Operation: op}}, {Id: 2, Spare: true, Request: &apiv1.Call_Get{Get: &apiv1.GetRequest{Key: key}}}, {Id: 3},
		}
		message, err := proto.Marshal(&apiv1.ExchangeRequest{Calls: calls})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var request apiv1.ExchangeRequest
		if err := proto.Unmarshal(message, &request); err != nil {
			return
		}
		service, _ := objectstest.New(t)
		door := rpc.New(service, fairness.New(fairness.DefaultLimits()))
		ctx, cancel := context.WithTimeout(objectstest.As(pki.AdminIdentity()), 5*time.Second)
		defer cancel()
		var mu sync.Mutex
		answers := 0
		door.Answer(ctx, request.GetCalls(), func(done ...*apiv1.Answer) {
			mu.Lock()
			defer mu.Unlock()
			answers += len(done)
			for _, a := range done {
				if codes.Code(a.GetFailure().GetCode()) == codes.Internal {
					t.Errorf("%v", a.GetFailure())
				}
			}
		})
		if answers != len(request.GetCalls()) {
			t.Errorf("%d calls, %d answers", len(request.GetCalls()), answers)
		}
	})
}
