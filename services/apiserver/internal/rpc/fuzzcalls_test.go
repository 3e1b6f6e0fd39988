package rpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// call makes one kind of call by an encoded request; ok says that it can be read.
type call func(ctx context.Context, s *rpc.Service, request []byte) (ok bool, err error)

func unary[T any, P interface {
	*T
	proto.Message
}, R any](do func(*rpc.Service, context.Context, P) (R, error)) call {
	return func(ctx context.Context, s *rpc.Service, request []byte) (bool, error) {
		message := P(new(T))
		if err := proto.Unmarshal(request, message); err != nil {
			return false, err
		}
		_, err := do(s, ctx, message)
		return true, err
	}
}

// calls are all of ObjectService's but Exchange, which has a target of its own.
var calls = []call{
	unary((*rpc.Service).Kinds), unary((*rpc.Service).Get), unary((*rpc.Service).List), unary((*rpc.Service).Create), unary((*rpc.Service).Update),
	unary((*rpc.Service).UpdateStatus), unary((*rpc.Service).Patch), unary((*rpc.Service).Delete), unary((*rpc.Service).DeleteCollection),
	unary((*rpc.Service).Transact), watch,
}

func watch(ctx context.Context, s *rpc.Service, request []byte) (bool, error) {
	message := &apiv1.WatchRequest{}
	if err := proto.Unmarshal(request, message); err != nil {
		return false, err
	}
	return true, s.Watch(message, watched{ctx: ctx})
}

// watched is a client of a watch that takes what it is sent.
type watched struct {
	grpc.ServerStreamingServer[apiv1.WatchResponse]
	ctx context.Context
}

func (w watched) Context() context.Context      { return w.ctx }
func (watched) Send(*apiv1.WatchResponse) error { return nil }

// seeds are a request for each of the calls.
func seeds(f *testing.F) []proto.Message {
	f.Helper()
	raw, err := (&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default", Labels: map[string]string{"app": "web"}}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	key := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "a"}
	object := &anypb.Any{TypeUrl: prefix + cmType, Value: raw}
	patch := &apiv1.PatchRequest{Key: key, Type: apiv1.PatchType_PATCH_TYPE_APPLY, Patch: []byte(`{"data":{"x":"y"}}`), FieldManager: "m", Force: true}
	return []proto.Message{
		&apiv1.KindsRequest{}, &apiv1.GetRequest{Key: key, MetadataOnly: true},
		&apiv1.ListRequest{Type: cmType, Namespace: "default", LabelSelector: "app in (web)", FieldSelector: "metadata.name=a", Limit: 1, ResourceVersion: "1", ResourceVersionMatch: "Exact"},
		&apiv1.CreateRequest{Object: object, FieldManager: "m"}, &apiv1.UpdateRequest{Object: object, Key: key}, &apiv1.UpdateStatusRequest{Object: object}, patch,
		&apiv1.DeleteRequest{Key: key, Uid: "x", PropagationPolicy: "Foreground", GracePeriodSeconds: new(int64)},
		&apiv1.DeleteCollectionRequest{Type: cmType, Namespace: "default", LabelSelector: "app=web"},
		&apiv1.TransactRequest{Operations: []*apiv1.Operation{
			{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{Object: object}}}, {Request: &apiv1.Operation_Patch{Patch: patch}},
			{Request: &apiv1.Operation_Delete{Delete: &apiv1.DeleteRequest{Key: key}}}, {},
		}},
		&apiv1.WatchRequest{Type: cmType, Namespace: "default", ResourceVersion: "1", SendInitialEvents: true, MetadataOnly: true},
	}
}

// Whatever a client asks, it is told what is wrong with it, and nothing is done of what
// is refused.
func FuzzCalls(f *testing.F) {
	for i, request := range seeds(f) {
		message, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), message, message)
	}
	var door *rpc.Service
	var replica *objectstest.Replica
	times := 0
	f.Fuzz(func(t *testing.T, which byte, first, second []byte) {
		if times++; times%500 == 1 { // what is fuzzed creates more objects
			var service *objects.Service
			service, replica = objectstest.New(t)
			door = rpc.New(service, fairness.New(fairness.DefaultLimits()))
		}
		for _, message := range [][]byte{first, second} {
			before := replica.Store().View().Revision()
			ctx, cancel := context.WithTimeout(objectstest.As(pki.AdminIdentity()), 10*time.Millisecond)
			ok, err := calls[int(which)%len(calls)](ctx, door, message)
			cancel()
			which++
			switch code := status.Code(err); {
			case !ok || err == nil || code == codes.DeadlineExceeded || code == codes.Canceled:
			case code == codes.Internal && !answeredSo(err), code == codes.Unknown:
				t.Errorf("call %d: %v", which, err)
			case replica.Store().View().Revision() != before:
				t.Errorf("call %d was refused (%v), and something done", which, err)
			}
		}
	})
}

// answeredSo tells whether Kubernetes, too, has no better name for an error.
func answeredSo(err error) bool {
	for _, detail := range status.Convert(err).Proto().GetDetails() {
		var known metav1.Status
		if known.Unmarshal(detail.GetValue()) == nil && known.Status == metav1.StatusFailure && known.Reason == metav1.StatusReasonUnknown {
			return true
		}
	}
	return false
}
