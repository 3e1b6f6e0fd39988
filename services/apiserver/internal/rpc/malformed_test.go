package rpc_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// Calls that are wrong get the code, the reason and the text that the REST door has
// for the same mistake, and change nothing.
func TestMalformedCalls(t *testing.T) {
	const (
		invalid, badRequest = metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest
		notFound, conflict  = metav1.StatusReasonNotFound, metav1.StatusReasonConflict
		argument            = codes.InvalidArgument
	)
	cm := func(change func(*corev1.ConfigMap)) *anypb.Any {
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "default"}}
		if change != nil {
			change(obj)
		}
		return pack(t, cmType, obj)
	}
	a := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "a"}
	none := &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "none"}
	create := func(object *anypb.Any) func(context.Context, apiv1.ObjectServiceClient) error {
		return func(ctx context.Context, c apiv1.ObjectServiceClient) error {
			_, err := c.Create(ctx, &apiv1.CreateRequest{Object: object})
			return err
		}
	}
	update := func(object *anypb.Any) func(context.Context, apiv1.ObjectServiceClient) error {
		return func(ctx context.Context, c apiv1.ObjectServiceClient) error {
			_, err := c.Update(ctx, &apiv1.UpdateRequest{Object: object})
			return err
		}
	}
	list := func(r *apiv1.ListRequest) func(context.Context, apiv1.ObjectServiceClient) error {
		r.Type, r.Namespace = cmType, "default"
		return func(ctx context.Context, c apiv1.ObjectServiceClient) error {
			_, err := c.List(ctx, r)
			return err
		}
	}
	patch := func(r *apiv1.PatchRequest) func(context.Context, apiv1.ObjectServiceClient) error {
		if r.GetKey() == nil {
			r.Key = a
		}
		return func(ctx context.Context, c apiv1.ObjectServiceClient) error {
			_, err := c.Patch(ctx, r)
			return err
		}
	}
	remove := func(r *apiv1.DeleteRequest) func(context.Context, apiv1.ObjectServiceClient) error {
		if r.GetKey() == nil {
			r.Key = a
		}
		return func(ctx context.Context, c apiv1.ObjectServiceClient) error {
			_, err := c.Delete(ctx, r)
			return err
		}
	}
	negative := int64(-1)
	for _, test := range []struct {
		name   string
		call   func(context.Context, apiv1.ObjectServiceClient) error
		code   codes.Code
		reason metav1.StatusReason
		text   string
	}{
		{"nothing", create(nil), argument, badRequest, `objects of type "" are not served`},
		{"unknown type", create(&anypb.Any{TypeUrl: prefix + "x"}), argument, badRequest, `objects of type "x" are not served`},
		{"truncated object", create(&anypb.Any{TypeUrl: prefix + cmType, Value: []byte{0x0a, 0x7f}}), argument, badRequest, "ConfigMap cannot be decoded: unexpected EOF"},
		{"no name", create(cm(func(o *corev1.ConfigMap) { o.Name = "" })), argument, invalid, "metadata.name: Required value: name or generateName is required"},
		{"upper case", create(cm(func(o *corev1.ConfigMap) { o.Name = "B" })), argument, invalid, `metadata.name: Invalid value: "B"`},
		{"no namespace", create(cm(func(o *corev1.ConfigMap) { o.Namespace = "" })), argument, badRequest, "an empty namespace may not be set during creation"},
		{"unknown namespace", create(cm(func(o *corev1.ConfigMap) { o.Namespace = "none" })), codes.NotFound, notFound, `namespaces "none" not found`},
		{"invalid UTF-8", create(cm(func(o *corev1.ConfigMap) { o.Labels = map[string]string{"key": "\xff"} })), argument, invalid, "metadata.labels: Invalid value"},
		{"new with a version", create(cm(func(o *corev1.ConfigMap) { o.ResourceVersion = "1" })), argument, badRequest, "resourceVersion should not be set on objects to be created"},
		{"there already", create(cm(func(o *corev1.ConfigMap) { o.Name = "a" })), codes.AlreadyExists, metav1.StatusReasonAlreadyExists, `configmaps "a" already exists`},
		{"too large", create(cm(func(o *corev1.ConfigMap) { o.Data = map[string]string{"x": strings.Repeat("x", 2<<20)} })), argument, invalid, "Too long: may not be more than 1048576 bytes"},
		{"update of nothing", update(cm(nil)), codes.NotFound, notFound, `configmaps "b" not found`},
		{"old version", update(cm(func(o *corev1.ConfigMap) { o.Name, o.ResourceVersion = "a", "1" })), codes.Aborted, conflict, "the object has been modified"},
		{"label selector", list(&apiv1.ListRequest{LabelSelector: "a==b==c"}), argument, badRequest, "unable to parse requirement: found '==', expected: ',' or 'end of string'"},
		{"field selector", list(&apiv1.ListRequest{FieldSelector: "a"}), argument, badRequest, "invalid selector: 'a'; can't understand 'a'"},
		{"field", list(&apiv1.ListRequest{FieldSelector: "spec.x=1"}), argument, badRequest, `"spec.x" is not a known field selector`},
		{"continue token", list(&apiv1.ListRequest{Limit: 1, ContinueToken: "!!"}), argument, badRequest, "continue key is not valid"},
		{"version", list(&apiv1.ListRequest{ResourceVersion: "new"}), argument, badRequest, `resourceVersion: Invalid value: "new"`},
		{"match without version", list(&apiv1.ListRequest{ResourceVersionMatch: "Exact"}), argument, invalid, "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"broken patch", patch(&apiv1.PatchRequest{Type: apiv1.PatchType_PATCH_TYPE_MERGE, Patch: []byte("{")}), argument, badRequest, "error decoding patch"},
		{"test in a patch", patch(&apiv1.PatchRequest{Type: apiv1.PatchType_PATCH_TYPE_JSON, Patch: []byte(`[{"op":"test","path":"/data/x","value":"z"}]`)}), argument, invalid, ""},
		{"force without apply", patch(&apiv1.PatchRequest{Type: apiv1.PatchType_PATCH_TYPE_MERGE, Patch: []byte("{}"), Force: true}), argument, invalid, "force: Forbidden: may not be specified for non-apply patch"},
		{"apply by nobody", patch(&apiv1.PatchRequest{Type: apiv1.PatchType_PATCH_TYPE_APPLY, Patch: []byte("{}")}), argument, invalid, "fieldManager: Required value: is required for apply patch"},
		{"patch of nothing", patch(&apiv1.PatchRequest{Key: none, Type: apiv1.PatchType_PATCH_TYPE_MERGE, Patch: []byte("{}")}), codes.NotFound, notFound, `configmaps "none" not found`},
		{"deletion of nothing", remove(&apiv1.DeleteRequest{Key: none}), codes.NotFound, notFound, `configmaps "none" not found`},
		{"policy", remove(&apiv1.DeleteRequest{PropagationPolicy: "Sideways"}), argument, invalid, `propagationPolicy: Unsupported value: "Sideways"`},
		{"grace", remove(&apiv1.DeleteRequest{GracePeriodSeconds: &negative, Uid: "other"}), codes.Aborted, conflict, "the UID in the precondition (other)"},
		{"no key", remove(&apiv1.DeleteRequest{Key: &apiv1.ObjectKey{Type: cmType}}), argument, badRequest, "key.name is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			replica := objectstest.NewReplica()
			client := dialOver(t, replica)
			if err := create(cm(func(o *corev1.ConfigMap) { o.Name = "a" }))(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			before := replica.Store().View().Revision()
			err := test.call(t.Context(), client)
			if s := detail(t, err); status.Code(err) != test.code || s.Reason != test.reason || !strings.Contains(s.Message, test.text) {
				t.Errorf("%v: %s\nwant %v %s %s", err, s.Reason, test.code, test.reason, test.text)
			}
			if after := replica.Store().View().Revision(); after != before {
				t.Errorf("something was done: revision %d, then %d", before, after)
			}
		})
	}
}
