package rpc_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

func TestDeleteCollection(t *testing.T) {
	client := dial(t)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: configMap(name)}); err != nil {
			t.Fatal(err)
		}
	}
	request := &apiv1.DeleteCollectionRequest{Type: cmType, Namespace: "default", FieldSelector: "metadata.name!=b", DryRun: true}
	for _, dry := range []bool{true, false} {
		request.DryRun = dry
		gone, err := client.DeleteCollection(t.Context(), request)
		if err != nil || len(gone.GetObjects()) != 2 || gone.GetResourceVersion() == "" {
			t.Errorf("dry run %v: %v, %v", dry, gone, err)
		}
	}
	left, err := client.List(t.Context(), &apiv1.ListRequest{Type: cmType, Namespace: "default"})
	if err != nil || len(left.GetObjects()) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	request.PropagationPolicy = "Sideways"
	if _, err := client.DeleteCollection(t.Context(), request); status.Code(err) != codes.InvalidArgument {
		t.Errorf("propagation: %v", err)
	}
}

// A list may be of a revision that a page of another one told.
func TestListAtARevision(t *testing.T) {
	client := dial(t)
	first, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: configMap("a")})
	if err != nil {
		t.Fatal(err)
	}
	at, err := client.List(t.Context(), &apiv1.ListRequest{Type: cmType})
	if err != nil || len(at.GetObjects()) != 1 {
		t.Fatalf("list: %v, %v, after %v", at, err, first)
	}
	if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: configMap("b")}); err != nil {
		t.Fatal(err)
	}
	exact, err := client.List(t.Context(), &apiv1.ListRequest{Type: cmType, ResourceVersion: at.GetResourceVersion(), ResourceVersionMatch: "Exact"})
	if err != nil || len(exact.GetObjects()) != 1 || exact.GetResourceVersion() != at.GetResourceVersion() {
		t.Errorf("exact: %v, %v", exact, err)
	}
	_, err = client.List(t.Context(), &apiv1.ListRequest{Type: cmType, ResourceVersion: at.GetResourceVersion(), ResourceVersionMatch: "Roughly"})
	if s := detail(t, err); s.Code != 422 && s.Reason != metav1.StatusReasonInvalid {
		t.Errorf("match: %v", err)
	}
}

// A transaction mixes operations, and tells what each did.
func TestTransactTellsWhatChanged(t *testing.T) {
	client := dial(t)
	if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: configMap("there")}); err != nil {
		t.Fatal(err)
	}
	key := func(name string) *apiv1.ObjectKey {
		return &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: name}
	}
	patch := func(name, text string) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{
			Key: key(name), Type: apiv1.PatchType_PATCH_TYPE_MERGE, Patch: []byte(text), FieldValidation: apiv1.FieldValidation_FIELD_VALIDATION_WARN}}}
	}
	request := &apiv1.TransactRequest{Operations: []*apiv1.Operation{
		creating(configMap("new"), false), patch("new", `{"data":{"a":"1"},"daata":{}}`), patch("there", `{}`), deleting("there"),
	}}
	for _, dry := range []bool{true, false} {
		request.DryRun = dry
		done, err := client.Transact(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		want := []apiv1.Change{apiv1.Change_CHANGE_CREATED, apiv1.Change_CHANGE_UPDATED, apiv1.Change_CHANGE_NONE, apiv1.Change_CHANGE_DELETED}
		for i := range want {
			if done.GetChanges()[i] != want[i] {
				t.Errorf("dry run %v, operation %d: %v, want %v", dry, i, done.GetChanges()[i], want[i])
			}
		}
		if len(done.GetObjects()) != 4 || len(done.GetWarnings()) != 1 {
			t.Errorf("objects: %d, warnings: %q", len(done.GetObjects()), done.GetWarnings())
		}
	}
	_, err := client.Get(t.Context(), &apiv1.GetRequest{Key: key("there")})
	if status.Code(err) != codes.NotFound {
		t.Errorf("what was deleted: %v", err)
	}
}
