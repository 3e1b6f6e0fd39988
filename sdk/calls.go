package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// getAttempt is how long one server is waited for, while the call has more time:
// one that has lost its fellows takes calls and never answers them.
const getAttempt = 5 * time.Second

// Get returns one object. It is linearizable, and tried again by itself while
// no server answers.
func Get[T Object](ctx context.Context, c *Client, namespace, name string) (T, error) {
	return get[T](ctx, c, &apiv1.GetRequest{Key: key[T](namespace, name)})
}

func get[T Object](ctx context.Context, c *Client, request *apiv1.GetRequest) (T, error) {
	obj, err := retried(ctx, c, again, func(ctx context.Context) (T, error) {
		o, err := c.single(ctx, &apiv1.Call{Request: &apiv1.Call_Get{Get: request}}, min(c.patience(ctx), getAttempt))
		return decoded[T](ctx, o, err)
	})
	if err == nil {
		return obj, nil
	}
	k := request.GetKey()
	return obj, wrap(err, "get", k.GetType(), k.GetNamespace(), k.GetName())
}

// Create stores a new object and returns it as stored: 409 AlreadyExists when there
// is one of its name. A name is made where only generateName is set.
func Create[T Object](ctx context.Context, c *Client, obj T, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, CreateOp(obj, opts...))
}

// Update replaces an object but for its status. A resourceVersion in it makes
// the update conditional: 409 Conflict when the object has changed since.
func Update[T Object](ctx context.Context, c *Client, obj T, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, UpdateOp(obj, opts...))
}

// UpdateStatus replaces an object's status and nothing else.
func UpdateStatus[T Object](ctx context.Context, c *Client, obj T, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, UpdateStatusOp(obj, opts...))
}

// Patch changes part of an object. The subresource is "" or "status"; patch is
// JSON of the given type. The server tries again when somebody else changes the
// object meanwhile, unless the patch holds a resourceVersion.
func Patch[T Object](ctx context.Context, c *Client, namespace, name, subresource string, pt types.PatchType, patch []byte, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, PatchOp[T](namespace, name, subresource, pt, patch, opts...))
}

// MergePatch marshals a value as an RFC 7386 patch and applies it.
func MergePatch[T Object](ctx context.Context, c *Client, namespace, name, subresource string, patch any, opts ...WriteOption) (T, error) {
	raw, err := json.Marshal(patch)
	if err != nil {
		var none T
		return none, wrap(err, "patch", TypeNameOf[T](), namespace, name)
	}
	return Patch[T](ctx, c, namespace, name, subresource, types.MergePatchType, raw, opts...)
}

// Delete removes an object, or marks it for deletion where it ends gracefully
// or has finalizers.
func Delete[T Object](ctx context.Context, c *Client, namespace, name string, opts DeleteOptions) error {
	op := DeleteOp[T](namespace, name, opts)
	_, err := c.perform(ctx, op)
	return wrap(err, op.verb, op.typ, op.namespace, op.name)
}

func decoded[T Object](ctx context.Context, o exchange.Object, err error) (T, error) {
	if err != nil {
		var none T
		return none, fromGRPC(ctx, err)
	}
	return decode[T](o)
}

// perform carries out an operation and returns the object that it answers.
func perform[T Object](ctx context.Context, c *Client, op Operation) (T, error) {
	o, err := c.perform(ctx, op)
	if err == nil {
		return decode[T](o)
	}
	var none T
	return none, wrap(err, op.verb, op.typ, op.namespace, op.name)
}

// perform carries out an operation, again while servers say that nothing was done and
// that it may well be in a moment.
func (c *Client) perform(ctx context.Context, op Operation) (exchange.Object, error) {
	if op.err != nil {
		return exchange.Object{}, op.err
	}
	end := time.Now().Add(c.timeout)
	o, err := c.attempt(ctx, op)
	if err == nil || !op.again(ctx, err) {
		return o, err
	}
	same := op // so that what most calls are costs no memory for the rest
	return resumed(ctx, end, same.again, err, func(ctx context.Context) (exchange.Object, error) { return c.attempt(ctx, same) })
}

func (c *Client) attempt(ctx context.Context, op Operation) (exchange.Object, error) {
	if patch := op.op.GetPatch(); patch != nil && op.warn != nil {
		return c.patchWarned(ctx, patch, op.warn)
	}
	o, err := c.single(ctx, calling(op.op), c.patience(ctx))
	if err != nil {
		err = fromGRPC(ctx, err)
	}
	return o, err
}

// patchWarned makes a patch by an RPC: calls that are exchanged answer no warnings.
func (c *Client) patchWarned(ctx context.Context, patch *apiv1.PatchRequest, warn func(string)) (exchange.Object, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	resp, err := c.objects.Patch(ctx, patch)
	if err != nil {
		return exchange.Object{}, fromGRPC(ctx, err)
	}
	for _, text := range resp.GetWarnings() {
		warn(text)
	}
	return exchange.Object{TypeURL: resp.GetObject().GetTypeUrl(), Parts: [2][]byte{resp.GetObject().GetValue()}}, nil
}

func calling(op *apiv1.Operation) *apiv1.Call {
	return &apiv1.Call{Request: &apiv1.Call_Operation{Operation: op}}
}

// wrap says what was tried on what, but for the cluster's own answers, which
// name the object already and are shown to users as they are.
func wrap(err error, verb, typ, namespace, name string) error {
	if err == nil || answered(err) {
		return err
	}
	return fmt.Errorf("%s %s %s: %w", verb, typ, fullName(namespace, name), err)
}
