package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// getAttempt is how long one server is waited for, while the call has more time:
// one that has lost its fellows takes calls and never answers them.
const getAttempt = 5 * time.Second

// ListOptions select objects of a type.
type ListOptions struct {
	// Namespace; empty for all.
	Namespace string
	// LabelSelector and FieldSelector in Kubernetes' syntax.
	LabelSelector, FieldSelector string
	// Limit is the most items of a page; 0 for all in one.
	Limit int64
	// Continue is the token of the page before.
	Continue string
}

// Page is what a list answered.
type Page[T Object] struct {
	// Items ordered by namespace and name.
	Items []T
	// ResourceVersion the list was made at; a watch from it misses nothing.
	ResourceVersion string
	// Continue gets the next page; empty when this was the last.
	Continue string
	// Remaining is the count of items after this page.
	Remaining int64
}

// DeleteOptions qualify a deletion; the zero value deletes as the type does by
// default.
type DeleteOptions struct {
	// GracePeriodSeconds; nil for the object's own, 0 for at once.
	GracePeriodSeconds *int64
	// UID and ResourceVersion the object must have; empty for any.
	UID             types.UID
	ResourceVersion string
	// Propagation to what the object owns; empty for the type's default.
	Propagation metav1.DeletionPropagation
}

// Get returns one object. It is linearizable, and tried again by itself while
// no server answers.
func Get[T Object](ctx context.Context, c *Client, namespace, name string) (T, error) {
	obj, err := retried(ctx, c, func(ctx context.Context) (T, error) {
		call := &apiv1.Call{Request: &apiv1.Call_Get{Get: &apiv1.GetRequest{Key: key[T](namespace, name)}}}
		o, err := c.single(ctx, call, min(c.patience(ctx), getAttempt))
		return decoded[T](ctx, o, err)
	})
	return obj, wrap(err, "get", TypeNameOf[T](), namespace, name)
}

// List returns objects as of one revision. It is linearizable, and tried again
// by itself while no server answers.
func List[T Object](ctx context.Context, c *Client, opts ListOptions) (*Page[T], error) {
	req := &apiv1.ListRequest{
		Type: TypeNameOf[T](), Namespace: opts.Namespace, LabelSelector: opts.LabelSelector,
		FieldSelector: opts.FieldSelector, Limit: opts.Limit, ContinueToken: opts.Continue,
	}
	page, err := retried(ctx, c, func(ctx context.Context) (*Page[T], error) {
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		resp, err := c.objects.List(ctx, req)
		if err != nil {
			return nil, fromGRPC(ctx, err)
		}
		page := &Page[T]{ResourceVersion: resp.GetResourceVersion(), Continue: resp.GetContinueToken(),
			Remaining: resp.GetRemainingItemCount(), Items: make([]T, 0, len(resp.GetObjects()))}
		for _, a := range resp.GetObjects() {
			obj, err := Decode[T](a)
			if err != nil {
				return nil, err
			}
			page.Items = append(page.Items, obj)
		}
		return page, nil
	})
	return page, wrap(err, "list", req.Type, opts.Namespace, "")
}

// Create stores a new object and returns it as stored.
func Create[T Object](ctx context.Context, c *Client, obj T) (T, error) {
	return write(ctx, c, "create", obj, CreateOp(obj))
}

// Update replaces an object but for its status. A resourceVersion in it makes
// the update conditional: 409 Conflict when the object has changed since.
func Update[T Object](ctx context.Context, c *Client, obj T) (T, error) {
	return write(ctx, c, "update", obj, UpdateOp(obj))
}

// UpdateStatus replaces an object's status and nothing else.
func UpdateStatus[T Object](ctx context.Context, c *Client, obj T) (T, error) {
	return write(ctx, c, "update status", obj, UpdateStatusOp(obj))
}

// Patch changes part of an object. The subresource is "" or "status"; patch is
// JSON of the given type.
func Patch[T Object](ctx context.Context, c *Client, namespace, name, subresource string, pt types.PatchType, patch []byte) (T, error) {
	var none T
	typ, err := patchType(pt)
	if err != nil {
		return none, err
	}
	o, err := c.single(ctx, calling(&apiv1.Operation{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{
		Key: key[T](namespace, name), Subresource: subresource, Type: typ, Patch: patch}}}), c.patience(ctx))
	obj, err := decoded[T](ctx, o, err)
	return obj, wrap(err, "patch", TypeNameOf[T](), namespace, name)
}

// MergePatch marshals a value as an RFC 7386 patch and applies it.
func MergePatch[T Object](ctx context.Context, c *Client, namespace, name, subresource string, patch any) (T, error) {
	raw, err := json.Marshal(patch)
	if err != nil {
		var none T
		return none, wrap(err, "patch", TypeNameOf[T](), namespace, name)
	}
	return Patch[T](ctx, c, namespace, name, subresource, types.MergePatchType, raw)
}

// Delete removes an object, or marks it for deletion where it ends gracefully
// or has finalizers.
func Delete[T Object](ctx context.Context, c *Client, namespace, name string, opts DeleteOptions) error {
	_, err := c.single(ctx, calling(DeleteOp[T](namespace, name, opts).op), c.patience(ctx))
	return wrap(fromGRPC(ctx, err), "delete", TypeNameOf[T](), namespace, name)
}

func deleteRequest(k *apiv1.ObjectKey, opts DeleteOptions) *apiv1.DeleteRequest {
	return &apiv1.DeleteRequest{Key: k, GracePeriodSeconds: opts.GracePeriodSeconds, Uid: string(opts.UID),
		ResourceVersion: opts.ResourceVersion, PropagationPolicy: string(opts.Propagation)}
}

func key[T Object](namespace, name string) *apiv1.ObjectKey {
	return &apiv1.ObjectKey{Type: TypeNameOf[T](), Namespace: namespace, Name: name}
}

func patchType(pt types.PatchType) (apiv1.PatchType, error) {
	switch pt {
	case types.JSONPatchType:
		return apiv1.PatchType_PATCH_TYPE_JSON, nil
	case types.MergePatchType:
		return apiv1.PatchType_PATCH_TYPE_MERGE, nil
	case types.StrategicMergePatchType:
		return apiv1.PatchType_PATCH_TYPE_STRATEGIC_MERGE, nil
	}
	return 0, fmt.Errorf("patch: unsupported type %q", pt)
}

func decoded[T Object](ctx context.Context, o exchange.Object, err error) (T, error) {
	if err != nil {
		var none T
		return none, fromGRPC(ctx, err)
	}
	return decode[T](o)
}

func write[T Object](ctx context.Context, c *Client, verb string, obj T, op Operation) (T, error) {
	var none T
	if op.err != nil {
		return none, op.err
	}
	got, err := c.single(ctx, calling(op.op), c.patience(ctx))
	out, err := decoded[T](ctx, got, err)
	return out, wrap(err, verb, TypeNameOf[T](), obj.GetNamespace(), obj.GetName())
}

func calling(op *apiv1.Operation) *apiv1.Call {
	return &apiv1.Call{Request: &apiv1.Call_Operation{Operation: op}}
}

// retried repeats a read until it is answered or its context ends; without a
// deadline of that, until the client's timeout is over. The read sees to it that
// it takes no longer than that by itself.
func retried[R any](ctx context.Context, c *Client, read func(context.Context) (R, error)) (R, error) {
	end := time.Now().Add(c.timeout)
	r, err := read(ctx)
	if !again(ctx, err) {
		return r, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	for wait := 20 * time.Millisecond; pause(ctx, wait); wait = min(2*wait, time.Second) {
		if r, err = read(ctx); !again(ctx, err) {
			break
		}
	}
	return r, err
}

// again tells whether to repeat a read that failed.
func again(ctx context.Context, err error) bool {
	stalled := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	return err != nil && !answered(err) && (stalled || IsRetryable(err))
}

// pause waits for about d, half of it at random; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// wrap says what was tried on what, but for the cluster's own answers, which
// name the object already and are shown to users as they are.
func wrap(err error, verb, typ, namespace, name string) error {
	if err == nil || answered(err) {
		return err
	}
	if namespace != "" && name != "" {
		name = namespace + "/" + name
	} else if name == "" {
		name = namespace
	}
	return fmt.Errorf("%s %s %s: %w", verb, typ, name, err)
}
