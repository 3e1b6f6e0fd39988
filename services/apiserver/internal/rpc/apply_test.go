package rpc_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

func managers(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	var cm corev1.ConfigMap
	if err := cm.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range cm.ManagedFields {
		out[e.Manager] = string(e.Operation) + " " + e.FieldsV1.GetRawString()
	}
	return out
}

// TestApply applies through the gRPC door.
func TestApply(t *testing.T) {
	client := dial(t)
	key := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "a"}
	apply := func(manager, data string, force bool) (*apiv1.PatchResponse, error) {
		return client.Patch(t.Context(), &apiv1.PatchRequest{Key: key, Type: apiv1.PatchType_PATCH_TYPE_APPLY, FieldManager: manager, Force: force,
			Patch: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: " + data)})
	}
	created, err := apply("one", `{x: "1"}`, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := managers(t, created.GetObject().GetValue()); got["one"] != `Apply {"f:data":{"f:x":{}}}` {
		t.Errorf("created by %v", got)
	}
	if _, err := apply("two", `{x: "2"}`, false); status.Code(err) != codes.Aborted && status.Code(err) != codes.FailedPrecondition ||
		detail(t, err).Reason != metav1.StatusReasonConflict || len(detail(t, err).Details.Causes) != 1 {
		t.Errorf("conflict: %v", err)
	}
	if _, err := apply("two", `{x: "2"}`, true); err != nil {
		t.Errorf("forced: %v", err)
	}
	if _, err := apply("", `{x: "2"}`, true); detail(t, err).Reason != metav1.StatusReasonInvalid {
		t.Errorf("without a manager: %v", err)
	}
	_, err = client.Patch(t.Context(), &apiv1.PatchRequest{Key: key, Type: apiv1.PatchType_PATCH_TYPE_MERGE, Force: true, Patch: []byte(`{}`)})
	if detail(t, err).Reason != metav1.StatusReasonInvalid {
		t.Errorf("a forced merge patch: %v", err)
	}
}

// TestManagers has writes belong to who is named, or to what the client calls itself.
func TestManagers(t *testing.T) {
	client := dial(t)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "default"}, Data: map[string]string{"x": "1"}}
	created, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, cmType, cm)})
	if err != nil {
		t.Fatal(err)
	}
	if got := managers(t, created.GetObject().GetValue()); len(got) != 1 || got["grpc-go"] == "" {
		t.Errorf("created by %v", got)
	}
	cm.Data["y"] = "2"
	updated, err := client.Update(t.Context(), &apiv1.UpdateRequest{Object: pack(t, cmType, cm), FieldManager: "me"})
	if err != nil {
		t.Fatal(err)
	}
	if got := managers(t, updated.GetObject().GetValue()); got["me"] != `Update {"f:data":{"f:y":{}}}` {
		t.Errorf("updated by %v", got)
	}
	if _, err := client.Update(t.Context(), &apiv1.UpdateRequest{Object: pack(t, cmType, cm), FieldManager: "a\n"}); detail(t, err).Reason != metav1.StatusReasonInvalid {
		t.Errorf("an unprintable manager: %v", err)
	}
}
