package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// Calls are written down as requests to the REST API are, whichever way they come.
func TestAudit(t *testing.T) {
	objects, _ := objectstest.New(t)
	var log bytes.Buffer
	policy := &auditv1.Policy{OmitStages: []auditv1.Stage{auditv1.StageRequestReceived}, Rules: []auditv1.PolicyRule{{Level: auditv1.LevelRequestResponse}}}
	logger := slog.New(slog.DiscardHandler)
	service := rpc.New(objects, fairness.New(fairness.DefaultLimits()))
	service.WriteDown(audit.New(policy, &log, objects.Authorizer(), logger))
	admin, eve := objectstest.As(pki.AdminIdentity()), objectstest.As(pki.Identity{User: "eve"})

	value, err := (&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}, Data: map[string]string{"a": "1"}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	create := &apiv1.CreateRequest{Object: &anypb.Any{TypeUrl: "type.googleapis.com/k8s.io.api.core.v1.ConfigMap", Value: value}}
	get := &apiv1.GetRequest{Key: &apiv1.ObjectKey{Type: "k8s.io.api.core.v1.ConfigMap", Namespace: "default", Name: "c"}}
	unary := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) {
		_, _ = service.Audited(ctx, request, &grpc.UnaryServerInfo{FullMethod: "/muster.api.v1.ObjectService/" + method}, handler)
	}
	unary(admin, "Create", create, func(ctx context.Context, r any) (any, error) { return service.Create(ctx, r.(*apiv1.CreateRequest)) })
	unary(eve, "Get", get, func(ctx context.Context, r any) (any, error) { return service.Get(ctx, r.(*apiv1.GetRequest)) })
	service.Answer(admin, []*apiv1.Call{
		{Id: 1, Request: &apiv1.Call_Get{Get: get}},
		{Id: 2, Request: &apiv1.Call_Operation{Operation: &apiv1.Operation{Request: &apiv1.Operation_Create{Create: create}}}},
	}, func(...*apiv1.Answer) {})

	var got []string
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		var e auditv1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if want := (auditv1.ObjectReference{Resource: "configmaps", Namespace: "default", Name: "c", APIVersion: "v1"}); *e.ObjectRef != want {
			t.Errorf("object %+v", e.ObjectRef)
		}
		if e.Verb == "create" && !strings.Contains(string(e.RequestObject.Raw), `"data":{"a":"1"}`) {
			t.Errorf("request %s", e.RequestObject.Raw)
		}
		if e.ResponseStatus.Code == 200 && !strings.Contains(string(e.ResponseObject.Raw), `"uid":"`) {
			t.Errorf("answer %s", e.ResponseObject.Raw)
		}
		got = append(got, strings.Join([]string{e.User.Username, e.Verb, string(e.ResponseStatus.Reason), e.RequestURI[len("/muster.api.v1.ObjectService/"):],
			e.Annotations["authorization.k8s.io/decision"]}, " "))
	}
	for _, want := range []string{
		"kubernetes-admin create  Create allow", "eve get Forbidden Get forbid",
		"kubernetes-admin get  Exchange allow", "kubernetes-admin create AlreadyExists Exchange allow",
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("no %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
}
