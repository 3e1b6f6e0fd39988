package sdk

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// single makes a call on one object and returns the object that it answers: over
// the stream that such calls share or, while there is none, as an RPC.
func (c *Client) single(ctx context.Context, call *apiv1.Call) (*anypb.Any, error) {
	var answer *apiv1.Answer
	err := c.probe.during(ctx, func() (err error) {
		answer, err = c.calls.Do(ctx, call)
		return err
	})
	if errors.Is(err, exchange.ErrNoStream) {
		return c.alone(ctx, call)
	}
	return answer.GetObject(), err
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
