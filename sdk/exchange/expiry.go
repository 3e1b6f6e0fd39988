package exchange

import (
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrExpired says that a call was not answered within its timeout. It is
// context.DeadlineExceeded and the gRPC code of the same name.
var ErrExpired error = expired{}

type expired struct{}

func (expired) Error() string { return "the call was not answered in time" }
func (expired) Unwrap() error { return context.DeadlineExceeded }
func (expired) GRPCStatus() *status.Status {
	return status.New(codes.DeadlineExceeded, expired{}.Error())
}

// watch sees to it that a call expires at that time. One timer serves all calls:
// most of them have the same timeout, and are answered long before.
func (s *session) watch(expires time.Time) {
	if !s.alarm.IsZero() && !expires.Before(s.alarm) {
		return
	}
	s.alarm = expires
	if s.clock == nil {
		s.clock = time.AfterFunc(time.Until(expires), s.expire)
	} else {
		s.clock.Reset(time.Until(expires))
	}
}

// expire fails the calls whose time is over.
func (s *session) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm = time.Time{}
	now := time.Now()
	over := func(w *waiter) bool {
		if now.Before(w.expires) {
			s.watch(w.expires)
			return false
		}
		s.release(w, nil, ErrExpired)
		return true
	}
	s.queue = slices.DeleteFunc(s.queue, over)
	maps.DeleteFunc(s.waiting, func(_ uint64, w *waiter) bool { return over(w) })
}
