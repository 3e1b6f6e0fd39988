package replica

import "sync"

// signal wakes all who wait for something to change.
type signal struct {
	mu      sync.Mutex
	changed chan struct{}
}

// change returns a channel that notify closes.
func (s *signal) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *signal) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
