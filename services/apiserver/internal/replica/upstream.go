package replica

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// asksMax bounds how many questions a member may have open at the leader.
const asksMax = 16

// upstream asks whoever leads, on one stream. Questions that were not answered
// when the stream ends, because the leader changes, cannot be reached or is silent
// for too long, get the reason as their answer: who asks, asks again.
type upstream struct {
	replica *Replica
	asks    chan *ask
	stopped chan struct{}
}

// ask is a question to the leader.
type ask struct {
	request *clusterv1.ForwardRequest
	since   time.Time
	// answer is called once, and does not block.
	answer func(*clusterv1.ForwardResponse, error)
}

func newUpstream(r *Replica) *upstream {
	return &upstream{replica: r, asks: make(chan *ask, asksMax), stopped: make(chan struct{})}
}

// propose has the leader order a batch.
func (u *upstream) propose(b *batch, done func([]*storev1.Result, error)) {
	request := &clusterv1.ForwardRequest{Question: &clusterv1.ForwardRequest_Propose{
		Propose: &clusterv1.Proposal{Transactions: b.transactions(), Count: uint32(b.count)},
	}}
	failpoint.Hit("replica/write/forward")
	u.put(&ask{request: request, answer: func(response *clusterv1.ForwardResponse, err error) {
		failpoint.Hit("replica/write/forwarded")
		done(response.GetResults(), err)
	}})
}

// readIndex asks the leader what must be applied before a read is answered.
func (u *upstream) readIndex(ctx context.Context) (uint64, error) {
	type answer struct {
		index uint64
		err   error
	}
	answered := make(chan answer, 1)
	request := &clusterv1.ForwardRequest{Question: &clusterv1.ForwardRequest_ReadIndex{ReadIndex: &clusterv1.ReadIndex{}}}
	u.put(&ask{request: request, answer: func(response *clusterv1.ForwardResponse, err error) {
		answered <- answer{response.GetIndex(), err}
	}})
	select {
	case a := <-answered:
		return a.index, a.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (u *upstream) put(a *ask) {
	a.since = time.Now()
	select {
	case u.asks <- a:
	case <-u.stopped:
		a.answer(nil, ErrStopped)
	}
}

func (u *upstream) run(ctx context.Context) error {
	defer close(u.stopped)
	for {
		select {
		case first := <-u.asks:
			leader := u.replica.leaders.address()
			if leader == "" || leader == u.replica.config.Advertise {
				first.answer(nil, errNotLeader)
				continue
			}
			u.follow(ctx, leader, first)
		case <-ctx.Done():
			return nil
		}
	}
}

// follow asks a leader until somebody else leads or the stream ends.
func (u *upstream) follow(ctx context.Context, leader string, first *ask) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stream{cancel: cancel, attempt: u.replica.config.Timing.Attempt, open: map[uint64]*ask{}}
	s.late = time.AfterFunc(s.attempt, s.check)
	s.register(first)
	var working sync.WaitGroup
	defer func() {
		s.late.Stop()
		working.Wait()
		s.end(fmt.Errorf("ask leader at %s: %w", leader, context.Cause(ctx)))
	}()
	working.Go(func() {
		u.replica.leaders.outlast(ctx, leader)
		cancel(errNotLeader)
	})
	client, err := u.replica.peers.client(leader)
	if err == nil {
		s.calls, err = client.Forward(ctx)
	}
	if err != nil {
		cancel(err)
		return
	}
	working.Go(s.receive)
	for next := first; ; {
		if s.calls.Send(next.request) != nil {
			return // receive learns why
		}
		select {
		case next = <-u.asks:
			s.register(next)
		case <-ctx.Done():
			return
		}
	}
}

// stream is what carries the questions to one leader.
type stream struct {
	calls   grpc.BidiStreamingClient[clusterv1.ForwardRequest, clusterv1.ForwardResponse]
	cancel  context.CancelCauseFunc
	attempt time.Duration
	late    *time.Timer // runs check

	mu   sync.Mutex
	last uint64          // id
	open map[uint64]*ask // by id
}

func (s *stream) register(a *ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	a.request.Id = s.last
	if len(s.open) == 0 {
		s.late.Reset(s.attempt)
	}
	s.open[a.request.Id] = a
}

func (s *stream) take(id uint64) *ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.open[id]
	delete(s.open, id)
	return a
}

// receive hands the answers out until the stream ends.
func (s *stream) receive() {
	for {
		response, err := s.calls.Recv()
		if err != nil {
			s.cancel(err)
			return
		}
		a := s.take(response.GetId())
		if a == nil {
			continue
		}
		if code := codes.Code(response.GetCode()); code != codes.OK {
			a.answer(nil, status.Error(code, response.GetMessage()))
		} else {
			a.answer(response, nil)
		}
	}
}

// check ends the stream when a question has been open for too long.
func (s *stream) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest time.Duration
	for _, a := range s.open {
		longest = max(longest, time.Since(a.since))
	}
	switch {
	case longest >= s.attempt:
		s.cancel(context.DeadlineExceeded)
	case longest > 0:
		s.late.Reset(s.attempt - longest)
	}
}

func (s *stream) end(err error) {
	for _, a := range s.open { // nobody else is left
		a.answer(nil, err)
	}
}
