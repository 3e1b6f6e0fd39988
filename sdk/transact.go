package sdk

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// MaxOperations is the most operations of one transaction.
const MaxOperations = 1000

// Operation is one step of a transaction. It is made by CreateOp and its
// siblings; an error in making it comes out of Transact.
type Operation struct {
	op                         *apiv1.Operation
	err                        error
	verb, typ, namespace, name string
}

// String says what the operation does, for logs.
func (o Operation) String() string {
	return fmt.Sprintf("%s %s %s/%s", o.verb, o.typ, o.namespace, o.name)
}

// CreateOp stores a new object.
func CreateOp(obj Object) Operation {
	return operation("create", obj, func(a *anypb.Any) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{Object: a}}}
	})
}

// UpdateOp replaces an object but for its status.
func UpdateOp(obj Object) Operation {
	return operation("update", obj, func(a *anypb.Any) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{Object: a}}}
	})
}

// UpdateStatusOp replaces an object's status.
func UpdateStatusOp(obj Object) Operation {
	return operation("update status", obj, func(a *anypb.Any) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_UpdateStatus{UpdateStatus: &apiv1.UpdateStatusRequest{Object: a}}}
	})
}

// PatchOp changes part of an object of type T; the subresource is "" or "status".
func PatchOp[T Object](namespace, name, subresource string, pt types.PatchType, patch []byte) Operation {
	typ, err := patchType(pt)
	return Operation{err: err, verb: "patch", typ: TypeNameOf[T](), namespace: namespace, name: name,
		op: &apiv1.Operation{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{
			Key: key[T](namespace, name), Subresource: subresource, Type: typ, Patch: patch}}}}
}

// DeleteOp removes an object of type T.
func DeleteOp[T Object](namespace, name string, opts DeleteOptions) Operation {
	return Operation{verb: "delete", typ: TypeNameOf[T](), namespace: namespace, name: name,
		op: &apiv1.Operation{Request: &apiv1.Operation_Delete{Delete: deleteRequest(key[T](namespace, name), opts)}}}
}

// BindOp assigns a pod to a node. It is refused with 409 Conflict when the pod
// is bound already, is going away, or has another UID.
func BindOp(pod *corev1.Pod, node string) Operation {
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node},
	}
	return operation("bind", binding, func(a *anypb.Any) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{
			Object: a, Key: key[*corev1.Pod](pod.Namespace, pod.Name), Subresource: "binding"}}}
	})
}

func operation(verb string, obj Object, make func(*anypb.Any) *apiv1.Operation) Operation {
	o := Operation{verb: verb, typ: TypeName(obj)}
	a, err := Encode(obj)
	if err != nil {
		o.err = err
		return o
	}
	o.op, o.namespace, o.name = make(a), obj.GetNamespace(), obj.GetName()
	return o
}

// Transact does all operations or none, each on another object. On an answer
// that refuses, RefusedOperation tells which one it was about. On success it
// returns the objects as stored (as they were, for a deletion), in order.
func (c *Client) Transact(ctx context.Context, ops ...Operation) ([]*anypb.Any, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	req := &apiv1.TransactRequest{Operations: make([]*apiv1.Operation, 0, len(ops))}
	for _, o := range ops {
		if o.err != nil {
			return nil, fmt.Errorf("transact: %s: %w", o, o.err)
		}
		req.Operations = append(req.Operations, o.op)
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	resp, err := c.objects.Transact(ctx, req)
	if err != nil {
		if err = fromGRPC(ctx, err); answered(err) {
			return nil, err
		}
		return nil, fmt.Errorf("transact %d operations (%s …): %w", len(ops), ops[0], err)
	}
	return resp.GetObjects(), nil
}

// TransactEach does operations that do not depend on each other in as few
// transactions as it can: what is refused is taken out and the rest sent again.
// It returns an error, or nil, for each operation. An answer that was lost is
// the error of all operations it was about.
func (c *Client) TransactEach(ctx context.Context, ops ...Operation) []error {
	out := make([]error, len(ops))
	at := make([]int, len(ops))
	for i := range at {
		at[i] = i
	}
	for chunk := range slices.Chunk(at, MaxOperations) {
		c.transactSome(ctx, ops, chunk, out)
	}
	return out
}

func (c *Client) transactSome(ctx context.Context, ops []Operation, at []int, out []error) {
	for len(at) > 0 {
		some := make([]Operation, len(at))
		for i, j := range at {
			some[i] = ops[j]
		}
		_, err := c.Transact(ctx, some...)
		if err == nil {
			return
		}
		refused, named := RefusedOperation(err)
		switch {
		case named && refused < len(at):
			out[at[refused]] = err
			at = slices.Concat(at[:refused], at[refused+1:])
		case len(at) == 1 || OutcomeUnknown(err) || IsRetryable(err):
			for _, j := range at {
				out[j] = err
			}
			return
		default:
			// Not told which one: halve until it stands alone.
			c.transactSome(ctx, ops, at[:len(at)/2], out)
			at = at[len(at)/2:]
		}
	}
}
