package sdk

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Waits between attempts grow from one to the other, each half at random.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = time.Second
)

// retried makes a call, and repeats it while again says so, its context lasts and, if
// that has no deadline, the client's timeout is not over. The call sees to it that it
// takes no longer than that by itself.
func retried[R any](ctx context.Context, c *Client, again func(context.Context, error) bool, call func(context.Context) (R, error)) (R, error) {
	end := time.Now().Add(c.timeout)
	r, err := call(ctx)
	if err == nil || !again(ctx, err) {
		return r, err
	}
	return resumed(ctx, end, again, err, call)
}

// resumed repeats a call that failed with err, until end if its context has no deadline.
func resumed[R any](ctx context.Context, end time.Time, again func(context.Context, error) bool, err error, call func(context.Context) (R, error)) (R, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	var r R
	for wait := firstWait; pause(ctx, wait, asked(err)); wait = min(2*wait, lastWait) {
		if r, err = call(ctx); err == nil || !again(ctx, err) {
			break
		}
	}
	return r, err
}

// again tells whether to repeat a read that failed.
func again(ctx context.Context, err error) bool {
	stalled := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	return err != nil && !answered(err) && (stalled || IsRetryable(err)) || answered(err) && putOff(err)
}

// again tells whether to repeat a write that failed: where it is known that nothing
// was done, or where twice is as good as once.
func (o Operation) again(ctx context.Context, err error) bool {
	return putOff(err) || o.idempotent() && again(ctx, err)
}

// idempotent says that to do the operation twice is to do it once, whatever others do
// in between.
func (o Operation) idempotent() bool {
	patch := o.op.GetPatch()
	return patch.GetType() == apiv1.PatchType_PATCH_TYPE_APPLY || patch.GetDryRun() ||
		o.op.GetCreate().GetDryRun() || o.op.GetUpdate().GetDryRun() || o.op.GetUpdateStatus().GetDryRun() || o.op.GetDelete().GetDryRun()
}

// putOff says that a server has done nothing and asks to come again: it has no leader,
// or too much to do. Who is refused for another reason, as an eviction by a budget, is
// told no time to wait.
func putOff(err error) bool {
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) && asked(err) > 0
}

// asked is how long a server wants to be left in peace, 0 if it says nothing.
func asked(err error) time.Duration {
	seconds, _ := apierrors.SuggestsClientDelay(err)
	return time.Duration(seconds) * time.Second
}

// pause waits for about d, half of it at random, and no less than least; false when
// ctx ends first, which is not waited for.
func pause(ctx context.Context, d, least time.Duration) bool {
	d = max(d/2+rand.N(d/2+1), least)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
