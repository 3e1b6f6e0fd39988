package exchange

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Bounds of a message, but for a call or an answer that is larger by itself.
const (
	messageCalls = 512
	messageBytes = 1 << 20
)

// waiter is a call that somebody waits for.
type waiter struct {
	call    *apiv1.Call
	answer  *apiv1.Answer
	err     error
	settled chan struct{} // closed when answer or err is set
}

// session is one stream, seen by the client.
type session struct {
	stream grpc.BidiStreamingClient[apiv1.ExchangeRequest, apiv1.ExchangeResponse]
	wake   chan struct{}

	mu      sync.Mutex
	queue   []*waiter // not sent yet
	waiting map[uint64]*waiter
	last    uint64 // id given
	leaving bool   // takes no more calls
	ended   bool
}

func newSession(stream grpc.BidiStreamingClient[apiv1.ExchangeRequest, apiv1.ExchangeResponse]) *session {
	return &session{stream: stream, wake: make(chan struct{}, 1), waiting: map[uint64]*waiter{}}
}

// add queues a call, if the session still takes any.
func (s *session) add(w *waiter) bool {
	s.mu.Lock()
	if s.leaving {
		s.mu.Unlock()
		return false
	}
	s.last++
	w.call.Id = s.last
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	s.rouse()
	return true
}

func (s *session) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// forget drops a call whose caller has gone. What was sent may yet be done.
func (s *session) forget(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, w.call.GetId())
	s.queue = slices.DeleteFunc(s.queue, func(o *waiter) bool { return o == w })
}

// send sends what is queued until the session is left or has ended.
func (s *session) send() {
	for range s.wake {
		// Whoever else was woken by the same answers calls again first.
		runtime.Gosched()
		for {
			batch, more := s.take()
			if len(batch) > 0 && s.stream.Send(&apiv1.ExchangeRequest{Calls: batch}) != nil {
				return // receive learns why
			}
			if more == nothing {
				break
			}
			if more == nothingEver {
				_ = s.stream.CloseSend() // receive sees what becomes of it
				return
			}
		}
	}
}

type remains int

const (
	nothing remains = iota
	something
	nothingEver
)

// take returns the calls of the next message, and what is left.
func (s *session) take() (batch []*apiv1.Call, left remains) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, nothingEver
	}
	n, bytes := 0, 0
	for _, w := range s.queue {
		bytes += weight(w.call)
		if n == messageCalls || n > 0 && bytes > messageBytes {
			break
		}
		n++
	}
	batch = make([]*apiv1.Call, n)
	for i, w := range s.queue[:n] {
		batch[i] = w.call
		s.waiting[w.call.GetId()] = w
	}
	rest := copy(s.queue, s.queue[n:])
	clear(s.queue[rest:])
	s.queue = s.queue[:rest]
	switch {
	case rest > 0:
		return batch, something
	case s.leaving:
		return batch, nothingEver
	}
	return batch, nothing
}

// weight is about the size of a call.
func weight(c *apiv1.Call) int {
	op := c.GetOperation()
	return 64 + len(op.GetUpdate().GetObject().GetValue()) + len(op.GetCreate().GetObject().GetValue()) +
		len(op.GetUpdateStatus().GetObject().GetValue()) + len(op.GetPatch().GetPatch())
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
	for _, a := range answers {
		w, ok := s.waiting[a.GetId()]
		if !ok {
			continue // the caller has gone
		}
		delete(s.waiting, a.GetId())
		w.answer = a
		close(w.settled)
	}
}

// end fails what waits. What a server has not answered is as uncertain as an RPC
// whose connection broke.
func (s *session) end(err error) {
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the server ended the stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving, s.ended = true, true
	for _, w := range s.waiting {
		w.err = err
		close(w.settled)
	}
	for _, w := range s.queue {
		w.err = err
		close(w.settled)
	}
	s.waiting, s.queue = nil, nil
	s.rouse()
}
