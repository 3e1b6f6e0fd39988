package sdk

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// MaxOperations is the most operations of one transaction.
const MaxOperations = 1000

// Transact does all operations or none; each sees what those before it do. When one
// is refused the error is a *RefusedError. On success it returns the objects as stored
// (as they were, for a deletion), in order. Transaction is more convenient where it
// matters what became of them.
func (c *Client) Transact(ctx context.Context, ops ...Operation) ([]*anypb.Any, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	resp, err := c.transact(ctx, ops, false)
	return resp.GetObjects(), err
}

func (c *Client) transact(ctx context.Context, ops []Operation, dryRun bool) (*apiv1.TransactResponse, error) {
	req := &apiv1.TransactRequest{Operations: make([]*apiv1.Operation, 0, len(ops)), DryRun: dryRun}
	for _, o := range ops {
		if o.err != nil {
			return nil, fmt.Errorf("transact: %s: %w", o, o.err)
		}
		req.Operations = append(req.Operations, o.op)
	}
	harmless := dryRun || !slices.ContainsFunc(ops, func(o Operation) bool { return !o.idempotent() })
	mayRepeat := func(ctx context.Context, err error) bool { return putOff(err) || harmless && again(ctx, err) }
	resp, err := retried(ctx, c, mayRepeat, func(ctx context.Context) (*apiv1.TransactResponse, error) {
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		resp, err := c.objects.Transact(ctx, req)
		return resp, fromGRPC(ctx, err)
	})
	switch {
	case err == nil:
		return resp, nil
	case answered(err):
		return nil, refused(err, ops)
	}
	return nil, fmt.Errorf("transact %d operations (%s …): %w", len(ops), ops[0], err)
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
