package rpc_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	sdkexchange "github.com/musterhq/muster/sdk/exchange"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

const (
	prefix  = "type.googleapis.com/"
	podType = "k8s.io.api.core.v1.Pod"
	cmType  = "k8s.io.api.core.v1.ConfigMap"
)

// dial serves an empty cluster to an administrator.
func dial(t *testing.T) apiv1.ObjectServiceClient {
	t.Helper()
	return dialOver(t, objectstest.NewReplica())
}

func dialOver(t *testing.T, replica *objectstest.Replica) apiv1.ObjectServiceClient {
	t.Helper()
	service, _ := objectstest.NewOver(t, replica)
	id := pki.AdminIdentity()
	user := access.User{Name: id.User, Groups: id.Groups}
	guard := access.NewGuard(func(context.Context) (access.User, error) { return user, nil })
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(guard.Unary()), grpc.ChainStreamInterceptor(guard.Stream()),
		grpc.ForceServerCodecV2(sdkexchange.Codec()))
	apiv1.RegisterObjectServiceServer(server, rpc.New(service, fairness.New(fairness.DefaultLimits())))
	lis := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return apiv1.NewObjectServiceClient(conn)
}

type message interface{ Marshal() ([]byte, error) }

func pack(t *testing.T, name string, obj message) *anypb.Any {
	t.Helper()
	raw, err := obj.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &anypb.Any{TypeUrl: prefix + name, Value: raw}
}

func newPod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}}}
}

func unpack(t *testing.T, a *anypb.Any) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if a.GetTypeUrl() != prefix+podType {
		t.Fatalf("object is a %s", a.GetTypeUrl())
	}
	if err := pod.Unmarshal(a.GetValue()); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func binding(t *testing.T, name, node string) *apiv1.CreateRequest {
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	return &apiv1.CreateRequest{Object: pack(t, "k8s.io.api.core.v1.Binding", b), Subresource: "binding",
		Key: &apiv1.ObjectKey{Type: podType, Namespace: "default", Name: name}}
}

// A batch of bindings is one transaction, and a watch by node sees it at once.
func TestBindBatch(t *testing.T) {
	client := dial(t)
	for _, name := range []string{"a", "b"} {
		if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, podType, newPod(name))}); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := client.Watch(t.Context(), &apiv1.WatchRequest{Type: podType, FieldSelector: "spec.nodeName=n1", SendInitialEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || len(first.GetEvents()) != 1 || !first.GetEvents()[0].GetInitialEventsEnd() {
		t.Fatalf("first: %v, %v", first, err)
	}
	operations := []*apiv1.Operation{
		{Request: &apiv1.Operation_Create{Create: binding(t, "a", "n1")}},
		{Request: &apiv1.Operation_Create{Create: binding(t, "b", "n1")}},
	}
	done, err := client.Transact(t.Context(), &apiv1.TransactRequest{Operations: operations})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range done.GetObjects() {
		if pod := unpack(t, a); pod.Spec.NodeName != "n1" || pod.ResourceVersion == "" {
			t.Errorf("bound: %s on %q at %q", pod.Name, pod.Spec.NodeName, pod.ResourceVersion)
		}
	}
	second, err := stream.Recv()
	if err != nil || len(second.GetEvents()) != 2 || second.GetEvents()[0].GetType() != apiv1.EventType_EVENT_TYPE_ADDED {
		t.Errorf("second: %v, %v", second, err)
	}
	_, err = client.Transact(t.Context(), &apiv1.TransactRequest{Operations: operations})
	if s := detail(t, err); s.Reason != metav1.StatusReasonConflict || status.Code(err) != codes.Aborted {
		t.Errorf("bound again: %v", err)
	}
}

// detail returns the Kubernetes status that an error carries.
func detail(t *testing.T, err error) metav1.Status {
	t.Helper()
	var out metav1.Status
	details := status.Convert(err).Proto().GetDetails()
	if len(details) == 0 || details[0].GetTypeUrl() != prefix+"k8s.io.apimachinery.pkg.apis.meta.v1.Status" {
		t.Fatalf("%v carries %v", err, details)
	}
	if err := out.Unmarshal(details[0].GetValue()); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestErrors(t *testing.T) {
	client := dial(t)
	key := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "none"}
	for _, test := range []struct {
		name string
		call func() error
		code codes.Code
		why  metav1.StatusReason
	}{
		{"not found", func() error { _, err := client.Get(t.Context(), &apiv1.GetRequest{Key: key}); return err }, codes.NotFound, metav1.StatusReasonNotFound},
		{"unknown type", func() error { _, err := client.List(t.Context(), &apiv1.ListRequest{Type: "x"}); return err }, codes.InvalidArgument, metav1.StatusReasonBadRequest},
		{"unnamed patch", func() error { _, err := client.Patch(t.Context(), &apiv1.PatchRequest{Key: key}); return err }, codes.Unimplemented, metav1.StatusReasonUnsupportedMediaType},
		{"invalid", func() error {
			_, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, podType, newPod("Bad Name"))})
			return err
		}, codes.InvalidArgument, metav1.StatusReasonInvalid},
		{"empty transaction", func() error { _, err := client.Transact(t.Context(), &apiv1.TransactRequest{}); return err }, codes.InvalidArgument, metav1.StatusReasonBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call()
			if s := detail(t, err); status.Code(err) != test.code || s.Reason != test.why {
				t.Errorf("%v: %s", err, s.Reason)
			}
		})
	}
}

func TestStatusAndDelete(t *testing.T) {
	client := dial(t)
	if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, podType, newPod("a"))}); err != nil {
		t.Fatal(err)
	}
	pod := newPod("a")
	pod.Spec = corev1.PodSpec{}
	pod.Status.Phase = corev1.PodRunning
	updated, err := client.UpdateStatus(t.Context(), &apiv1.UpdateStatusRequest{Object: pack(t, podType, pod)})
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, updated.GetObject()); got.Status.Phase != corev1.PodRunning || len(got.Spec.Containers) != 1 {
		t.Errorf("after the status: %+v", got)
	}
	grace := int64(0)
	deleted, err := client.Delete(t.Context(), &apiv1.DeleteRequest{Key: &apiv1.ObjectKey{Type: podType, Namespace: "default", Name: "a"}, GracePeriodSeconds: &grace})
	if err != nil || !deleted.GetGone() {
		t.Errorf("delete: gone %v, %v", deleted.GetGone(), err)
	}
}
