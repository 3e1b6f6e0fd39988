package rpc_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Who may proxy to a pod may not change it so.
func TestStreamsAreNoWayToTheObject(t *testing.T) {
	client := dial(t)
	if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, podType, newPod("a"))}); err != nil {
		t.Fatal(err)
	}
	key := &apiv1.ObjectKey{Type: podType, Namespace: "default", Name: "a"}
	for _, sub := range []string{"log", "exec", "attach", "portforward", "proxy"} {
		if _, err := client.Get(t.Context(), &apiv1.GetRequest{Key: key, Subresource: sub}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("get %s: %v", sub, err)
		}
		update := &apiv1.UpdateRequest{Object: pack(t, podType, newPod("a")), Key: key, Subresource: sub}
		if _, err := client.Update(t.Context(), update); status.Code(err) != codes.InvalidArgument {
			t.Errorf("update %s: %v", sub, err)
		}
	}
}
