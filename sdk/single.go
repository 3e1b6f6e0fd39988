package sdk

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// single makes a call on one object and returns the object that it answers: over
// the stream that such calls share or, while there is none, as an RPC. It takes no
// longer than the timeout.
func (c *Client) single(ctx context.Context, call *apiv1.Call, timeout time.Duration) (exchange.Object, error) {
	var o exchange.Object
	err := c.probe.during(ctx, func() (err error) {
		o, err = c.calls.Do(ctx, call, timeout)
		return err
	})
	if !errors.Is(err, exchange.ErrNoStream) {
		return o, err
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := c.alone(within, call)
	if status.Code(err) == codes.DeadlineExceeded && within.Err() != nil && ctx.Err() == nil {
		err = exchange.ErrExpired
	}
	return exchange.Object{TypeURL: a.GetTypeUrl(), Parts: [2][]byte{a.GetValue()}}, err
}

// patience is how long a call may take: until its context ends or, if that has
// no deadline, the client's timeout.
func (c *Client) patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return c.timeout
}

// answerOf is what the answers to RPCs on single objects have in common.
type answerOf interface{ GetObject() *anypb.Any }

// alone makes the call as an RPC.
func (c *Client) alone(ctx context.Context, call *apiv1.Call) (*anypb.Any, error) {
	var answer answerOf
	var err error
	if get := call.GetGet(); get != nil {
		answer, err = c.objects.Get(ctx, get)
		return answer.GetObject(), err
	}
	switch op := call.GetOperation().GetRequest().(type) {
	case *apiv1.Operation_Create:
		answer, err = c.objects.Create(ctx, op.Create)
	case *apiv1.Operation_Update:
		answer, err = c.objects.Update(ctx, op.Update)
	case *apiv1.Operation_UpdateStatus:
		answer, err = c.objects.UpdateStatus(ctx, op.UpdateStatus)
	case *apiv1.Operation_Patch:
		answer, err = c.objects.Patch(ctx, op.Patch)
	case *apiv1.Operation_Delete:
		answer, err = c.objects.Delete(ctx, op.Delete)
	}
	return answer.GetObject(), err
}
