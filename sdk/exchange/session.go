package exchange

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Bounds of a message, but for a call or an answer that is larger by itself.
const (
	messageCalls = 512
	messageBytes = 1 << 20
	// worthwhile is how many calls are sent without waiting for more: to add to
	// them would hardly make each cheaper.
	worthwhile = 64
)

// waiter is a call that somebody waits for.
type waiter struct {
	call    *apiv1.Call
	expires time.Time
	answer  *apiv1.Answer
	err     error
	settled chan struct{} // sent to when answer or err is set
}

// session is one stream, seen by the client.
type session struct {
	stream grpc.BidiStreamingClient[apiv1.ExchangeRequest, apiv1.ExchangeResponse]
	wake   chan struct{}
	spare  sync.Pool // of waiters, each with its channel
	// settled counts callers whose call was settled and who have not run since.
	settled atomic.Int64
	out     sync.Mutex // held to send

	mu       sync.Mutex
	queue    []*waiter // not sent yet
	waiting  map[uint64]*waiter
	underWay int    // calls that were sent and not answered yet, also for callers who went
	last     uint64 // id given
	leaving  bool   // takes no more calls
	ended    bool
	clock    *time.Timer // calls expire
	alarm    time.Time   // when the clock is set to; zero if it is not
}

func newSession(stream grpc.BidiStreamingClient[apiv1.ExchangeRequest, apiv1.ExchangeResponse]) *session {
	s := &session{stream: stream, wake: make(chan struct{}, 1), waiting: map[uint64]*waiter{}}
	s.spare.New = func() any { return &waiter{settled: make(chan struct{}, 1)} }
	return s
}

// do queues a call and waits for what becomes of it.
func (s *session) do(ctx context.Context, call *apiv1.Call, timeout time.Duration) (*apiv1.Answer, error) {
	w, _ := s.spare.Get().(*waiter)
	defer s.spare.Put(w)
	w.call, w.expires = call, time.Now().Add(timeout)
	if !s.sendAlone(w) && !s.add(w) {
		return nil, ErrNoStream
	}
	select {
	case <-w.settled:
	case <-ctx.Done():
		if s.forget(w) {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		<-w.settled
	}
	s.ran()
	answer, err := w.answer, w.err
	w.call, w.answer, w.err = nil, nil, nil
	return answer, err
}

// number gives a call its id, and sees to it that it expires.
func (s *session) number(w *waiter) {
	s.last++
	w.call.Id = s.last
	s.watch(w.expires)
}

// add queues a call, if the session still takes any. While some of those that
// the last answers were for have not run yet, it is not sent: they may well call
// again, and the last one of them has all of it sent.
func (s *session) add(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return false
	}
	s.number(w)
	s.queue = append(s.queue, w)
	if s.settled.Load() == 0 || len(s.queue) >= worthwhile {
		s.rouse()
	}
	return true
}

// ran is called by everybody whose call was settled, once they run.
func (s *session) ran() {
	if s.settled.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		s.rouse()
	}
}

// forget drops a call whose caller goes, unless it is settled. What was sent may
// yet be done.
func (s *session) forget(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.waiting[w.call.GetId()]; ok {
		delete(s.waiting, w.call.GetId())
		return true
	}
	queued := len(s.queue)
	s.queue = slices.DeleteFunc(s.queue, func(o *waiter) bool { return o == w })
	return len(s.queue) < queued
}

// receive settles calls until the stream ends, and returns why it did. It calls
// leave before that when the session takes no more calls.
func (s *session) receive(leave func()) error {
	defer leave()
	for {
		response, err := s.stream.Recv()
		if err != nil {
			s.end(err)
			return err
		}
		s.settle(response.GetAnswers())
		if response.GetClosing() {
			leave()
			s.mu.Lock()
			s.leaving = true
			s.mu.Unlock()
			s.rouse()
		}
	}
}

func (s *session) settle(answers []*apiv1.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay -= len(answers)
	for _, a := range answers {
		w, ok := s.waiting[a.GetId()]
		if !ok {
			continue // the caller has gone
		}
		delete(s.waiting, a.GetId())
		s.release(w, a, nil)
	}
}

// release lets a caller go on, who is no longer in the queue nor waiting.
func (s *session) release(w *waiter, a *apiv1.Answer, err error) {
	w.answer, w.err = a, err
	s.settled.Add(1)
	w.settled <- struct{}{} // has room for one
}

// end fails what waits. What a server was sent and has not answered is as uncertain as
// an RPC whose connection broke.
func (s *session) end(err error) {
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the server ended the stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving, s.ended = true, true
	for _, w := range s.waiting {
		s.release(w, nil, err)
	}
	for _, w := range s.queue { // were not sent, so the RPC may be made instead
		s.release(w, nil, ErrNoStream)
	}
	s.waiting, s.queue = nil, nil
	if s.clock != nil {
		s.clock.Stop()
	}
	s.rouse()
}
