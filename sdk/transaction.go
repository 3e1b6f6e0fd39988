package sdk

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Transaction gathers writes that are done together or not at all. Each sees what
// those before it do, so a namespace may be followed by what is in it. The zero value
// is empty and ready. It is used by one goroutine.
//
//	var tx sdk.Transaction
//	tx.Create(namespace).Create(configMap).Update(deployment)
//	tx.Add(sdk.DeleteOp[*corev1.Secret]("default", "old", sdk.DeleteOptions{}))
//	done, err := tx.Commit(ctx, c)
type Transaction struct {
	ops []Operation
}

// Create adds the creation of an object.
func (t *Transaction) Create(obj Object, opts ...WriteOption) *Transaction {
	return t.Add(CreateOp(obj, opts...))
}

// Update adds the replacement of an object but for its status. One that is to be
// replaced only as it was read has that resourceVersion.
func (t *Transaction) Update(obj Object, opts ...WriteOption) *Transaction {
	return t.Add(UpdateOp(obj, opts...))
}

// UpdateStatus adds the replacement of an object's status.
func (t *Transaction) UpdateStatus(obj Object, opts ...WriteOption) *Transaction {
	return t.Add(UpdateStatusOp(obj, opts...))
}

// Delete adds the deletion of an object: of the one that obj is, if that was read
// (UID), else of any of its name.
func (t *Transaction) Delete(obj Object) *Transaction {
	k := &apiv1.ObjectKey{Type: TypeName(obj), Namespace: obj.GetNamespace(), Name: obj.GetName()}
	return t.Add(deleteOp(k, DeleteOptions{UID: obj.GetUID()}))
}

// Add adds operations of all kinds: ApplyOp, PatchOp, DeleteOp, BindOp.
func (t *Transaction) Add(ops ...Operation) *Transaction {
	t.ops = append(t.ops, ops...)
	return t
}

// Len is how many operations there are; more than MaxOperations are refused.
func (t *Transaction) Len() int { return len(t.ops) }

// Operations returns the operations, in their order.
func (t *Transaction) Operations() []Operation { return t.ops }

// Commit does all of it, or nothing. When an operation is refused the error is a
// *RefusedError; when OutcomeUnknown holds for the error, all may be done all the same.
func (t *Transaction) Commit(ctx context.Context, c *Client) (*Done, error) {
	return t.commit(ctx, c, false)
}

// DryRun has the server check all of it, and answer with what would be stored.
func (t *Transaction) DryRun(ctx context.Context, c *Client) (*Done, error) {
	return t.commit(ctx, c, true)
}

func (t *Transaction) commit(ctx context.Context, c *Client, dryRun bool) (*Done, error) {
	if len(t.ops) == 0 {
		return &Done{}, nil
	}
	resp, err := c.transact(ctx, t.ops, dryRun)
	if err != nil {
		return nil, err
	}
	return &Done{Changes: resp.GetChanges(), Warnings: resp.GetWarnings(), objects: resp.GetObjects()}, nil
}

// Done is what a transaction did.
type Done struct {
	// Changes that its operations made, in their order.
	Changes []apiv1.Change
	// Warnings for people, a line each.
	Warnings []string

	objects []*anypb.Any
}

// Stored returns the object of the operation with an index, of type T: as it was for a
// deletion, else as it is after the last operation on it.
func Stored[T Object](d *Done, index int) (T, error) {
	if index < 0 || index >= len(d.objects) {
		var none T
		return none, fmt.Errorf("operation %d: the transaction has %d", index, len(d.objects))
	}
	return Decode[T](d.objects[index])
}
