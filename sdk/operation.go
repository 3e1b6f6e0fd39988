package sdk

import (
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Operation is one write, made by CreateOp and its siblings to be one step of a
// transaction. An error in making it comes out of the transaction.
type Operation struct {
	op                         *apiv1.Operation
	err                        error
	warn                       func(string)
	verb, typ, namespace, name string
}

// String says what the operation does, for logs.
func (o Operation) String() string {
	return fmt.Sprintf("%s %s %s", o.verb, o.typ, fullName(o.namespace, o.name))
}

func fullName(namespace, name string) string {
	switch {
	case namespace == "":
		return name
	case name == "":
		return namespace
	}
	return namespace + "/" + name
}

// CreateOp stores a new object.
func CreateOp(obj Object, opts ...WriteOption) Operation {
	return operation("create", obj, opts, func(a *anypb.Any, w writing) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{
			Object: a, DryRun: w.dryRun, FieldManager: w.manager}}}
	})
}

// UpdateOp replaces an object but for its status.
func UpdateOp(obj Object, opts ...WriteOption) Operation {
	return operation("update", obj, opts, func(a *anypb.Any, w writing) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{
			Object: a, DryRun: w.dryRun, FieldManager: w.manager}}}
	})
}

// UpdateStatusOp replaces an object's status.
func UpdateStatusOp(obj Object, opts ...WriteOption) Operation {
	return operation("update status", obj, opts, func(a *anypb.Any, w writing) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_UpdateStatus{UpdateStatus: &apiv1.UpdateStatusRequest{
			Object: a, DryRun: w.dryRun, FieldManager: w.manager}}}
	})
}

// PatchOp changes part of an object of type T; the subresource is "" or "status".
func PatchOp[T Object](namespace, name, subresource string, pt types.PatchType, patch []byte, opts ...WriteOption) Operation {
	typ, ok := patchTypes[pt]
	o := patchOp("patch", key[T](namespace, name), subresource, typ, patch, opts)
	if !ok {
		o.err = fmt.Errorf("unsupported patch type %q", pt)
	}
	return o
}

func patchOp(verb string, k *apiv1.ObjectKey, subresource string, typ apiv1.PatchType, patch []byte, opts []WriteOption) Operation {
	w := newWriting(opts)
	return Operation{verb: verb, typ: k.GetType(), namespace: k.GetNamespace(), name: k.GetName(), warn: w.warn,
		op: &apiv1.Operation{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{
			Key: k, Subresource: subresource, Type: typ, Patch: patch,
			DryRun: w.dryRun, FieldManager: w.manager, Force: w.force, FieldValidation: w.validation}}}}
}

var patchTypes = map[types.PatchType]apiv1.PatchType{
	types.JSONPatchType:           apiv1.PatchType_PATCH_TYPE_JSON,
	types.MergePatchType:          apiv1.PatchType_PATCH_TYPE_MERGE,
	types.StrategicMergePatchType: apiv1.PatchType_PATCH_TYPE_STRATEGIC_MERGE,
	types.ApplyYAMLPatchType:      apiv1.PatchType_PATCH_TYPE_APPLY,
}

// DeleteOp removes an object of type T.
func DeleteOp[T Object](namespace, name string, opts DeleteOptions) Operation {
	return deleteOp(key[T](namespace, name), opts)
}

func deleteOp(k *apiv1.ObjectKey, opts DeleteOptions) Operation {
	return Operation{verb: "delete", typ: k.GetType(), namespace: k.GetNamespace(), name: k.GetName(),
		op: &apiv1.Operation{Request: &apiv1.Operation_Delete{Delete: &apiv1.DeleteRequest{
			Key: k, GracePeriodSeconds: opts.GracePeriodSeconds, Uid: string(opts.UID),
			ResourceVersion: opts.ResourceVersion, PropagationPolicy: string(opts.Propagation), DryRun: opts.DryRun}}}}
}

// BindOp assigns a pod to a node. It is refused with 409 Conflict when the pod
// is bound already, is going away, or has another UID.
func BindOp(pod *corev1.Pod, node string) Operation {
	return createSubOp[*corev1.Pod](pod.Namespace, pod.Name, "binding", &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node},
	}, nil)
}

// createSubOp acts on an object of type T by a subresource that is created.
func createSubOp[T Object](namespace, name, subresource string, body Object, opts []WriteOption) Operation {
	o := operation("create "+subresource+" of", body, opts, func(a *anypb.Any, w writing) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{
			Object: a, Key: key[T](namespace, name), Subresource: subresource, DryRun: w.dryRun, FieldManager: w.manager}}}
	})
	o.typ, o.namespace, o.name = TypeNameOf[T](), namespace, name
	return o
}

func operation(verb string, obj Object, opts []WriteOption, request func(*anypb.Any, writing) *apiv1.Operation) Operation {
	w := newWriting(opts)
	o := Operation{verb: verb, typ: TypeName(obj), warn: w.warn}
	a, err := Encode(obj)
	if err != nil {
		o.err = err
		return o
	}
	o.op, o.namespace, o.name = request(a, w), obj.GetNamespace(), obj.GetName()
	if o.name == "" && obj.GetGenerateName() != "" {
		o.name = obj.GetGenerateName() + "*"
	}
	return o
}

func key[T Object](namespace, name string) *apiv1.ObjectKey {
	return &apiv1.ObjectKey{Type: TypeNameOf[T](), Namespace: namespace, Name: name}
}
