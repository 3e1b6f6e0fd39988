package exchange

import (
	"runtime"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// sendAlone sends a call from its caller's goroutine, if there is no other one.
// What was sent before is answered then, so that this waits for nobody: gRPC has
// room for at least a message.
func (s *session) sendAlone(w *waiter) bool {
	if s.settled.Load() > 0 || !s.out.TryLock() {
		return false
	}
	defer s.out.Unlock()
	s.mu.Lock()
	alone := s.underWay == 0 && len(s.queue) == 0 && !s.leaving
	if alone {
		s.number(w)
		s.waiting[s.last] = w
		s.underWay++
	}
	s.mu.Unlock()
	if alone {
		_ = s.stream.Send(&apiv1.ExchangeRequest{Calls: []*apiv1.Call{w.call}}) // receive learns why it fails
	}
	return alone
}

func (s *session) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// send sends what is queued until the session is left or has ended.
func (s *session) send() {
	for range s.wake {
		// Whoever else was woken by the same answers calls again first.
		runtime.Gosched()
		for {
			left, err := s.sendNext()
			if err != nil {
				return // receive learns why
			}
			if left == nothing {
				break
			}
			if left == nothingEver {
				_ = s.stream.CloseSend() // receive sees what becomes of it
				return
			}
		}
	}
}

// sendNext sends the next message, if there is any.
func (s *session) sendNext() (left remains, err error) {
	s.out.Lock()
	defer s.out.Unlock()
	batch, left := s.take()
	if len(batch) > 0 {
		err = s.stream.Send(&apiv1.ExchangeRequest{Calls: batch})
	}
	return left, err
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
	s.underWay += n
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
