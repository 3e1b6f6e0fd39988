package exchange

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// reopenAfter is the shortest time between two streams: a server that closes
// asks to leave its stream before the connection knows that it goes.
const reopenAfter = 100 * time.Millisecond

// Caller makes calls over a stream that it opens when it is first used, and
// again after it ended. All methods may be called from any goroutine.
type Caller struct {
	client apiv1.ObjectServiceClient
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	current *session // nil while there is none that takes calls
	opening bool
	never   bool // the server does not know the method
	missed  int  // calls for which there was no stream
}

// NewCaller returns a caller over a connection.
func NewCaller(client apiv1.ObjectServiceClient) *Caller {
	ctx, stop := context.WithCancel(context.Background())
	return &Caller{client: client, ctx: ctx, stop: stop}
}

// Close ends the stream; calls that wait for their answers fail.
func (c *Caller) Close() {
	c.stop()
	c.done.Wait()
}

// ErrNoStream says that there is no stream now and nothing was done: the RPC of
// the same name is to be made instead.
var ErrNoStream = errors.New("no stream to make the call on")

// Do makes a call and returns the object that it was answered, or the error that
// the RPC of the same name would return, or ErrExpired after the timeout, or
// ErrNoStream. The call must not be changed any more: it may be sent after ctx has
// ended. Its id, timeout and what it may be spared are set here.
func (c *Caller) Do(ctx context.Context, call *apiv1.Call, timeout time.Duration) (Object, error) {
	s := c.session()
	if s == nil {
		return Object{}, ErrNoStream
	}
	call.TimeoutNanos, call.Spare = int64(timeout), true
	answer, err := s.do(ctx, call, timeout)
	if err != nil {
		return Object{}, err
	}
	return objectOf(call, answer), asError(answer.GetFailure())
}

// session returns the stream in use, or nil, and then sees to it that there will
// be one. Who makes a single call needs none.
func (c *Caller) session() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil || c.never || c.opening {
		return c.current
	}
	if c.missed++; c.missed > 1 && c.ctx.Err() == nil {
		c.opening = true
		c.done.Go(c.run)
	}
	return nil
}

// run opens a stream and reads its answers until it ends.
func (c *Caller) run() {
	begun := time.Now()
	err := c.serve()
	rest := time.NewTimer(reopenAfter - time.Since(begun))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = false
	c.never = status.Code(err) == codes.Unimplemented
}

func (c *Caller) serve() error {
	stream, err := c.client.Exchange(c.ctx, grpc.WaitForReady(true), grpc.ForceCodecV2(Codec()))
	if err != nil {
		return err
	}
	s := newSession(stream)
	// Without headers it has ended already, and receive learns why.
	if header, err := stream.Header(); err == nil && header != nil {
		c.set(s)
		c.done.Go(s.send)
	}
	return s.receive(func() { c.set(nil) })
}

func (c *Caller) set(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = s
}

func asError(f *apiv1.Failure) error {
	if f == nil {
		return nil
	}
	return status.ErrorProto(statusProto(f))
}
