package state

import (
	"context"
	"sort"
)

// publish makes a version the current one and remembers it.
func (s *Store) publish(next *snapshot) {
	previous := s.current.Load()
	s.current.Store(next)
	if previous != nil && previous.revision == next.revision {
		return
	}
	s.pastMu.Lock()
	defer s.pastMu.Unlock()
	if n := len(s.past); n > 0 && n >= s.limits.Views {
		s.past[0] = nil
		s.past = s.past[1:]
	}
	s.past = append(s.past, next)
}

// ViewAt returns the state as it was at a revision, or ErrTooOld when that is no
// longer remembered, or ErrAhead.
func (s *Store) ViewAt(revision uint64) (View, error) {
	if now := s.View(); revision == now.Revision() {
		return now, nil
	} else if revision > now.Revision() {
		return View{}, ErrAhead
	}
	base := s.pastUpTo(revision)
	switch {
	case base == nil:
		return View{}, ErrTooOld
	case base.revision == revision:
		return View{base}, nil
	}
	_ = s.Reach(context.Background(), revision) // Events come right behind their version.
	events, ok := s.history.between(base.revision, revision)
	if !ok {
		return View{}, ErrTooOld
	}
	return View{base.with(events)}, nil
}

// pastUpTo returns the last remembered version that is not newer than a
// revision, nil when there is none.
func (s *Store) pastUpTo(revision uint64) *snapshot {
	s.pastMu.Lock()
	defer s.pastMu.Unlock()
	n := sort.Search(len(s.past), func(i int) bool { return s.past[i].revision > revision })
	if n == 0 {
		return nil
	}
	return s.past[n-1]
}

// with returns the version as it is after events: part of what one command did.
func (s *snapshot) with(events []Event) *snapshot {
	b := newBatch(s)
	for _, e := range events {
		b.revision = e.Revision
		key := e.last().Key.encode()
		switch {
		case e.Entry == nil:
			b.entries.Delete(key)
			b.count(e.Prev.Key, -1)
		case e.Prev == nil:
			b.entries.Insert(key, e.Entry)
			b.count(e.Entry.Key, 1)
		default:
			b.entries.Insert(key, e.Entry)
		}
		b.expires(key, e.Prev, e.Entry)
	}
	return b.commit(s.index)
}

// between returns the events after one revision, up to another one; false when
// some are forgotten.
func (h *history) between(after, upTo uint64) ([]Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.floor > after {
		return nil, false
	}
	from := sort.Search(len(h.window), func(i int) bool { return h.window[i].Revision > after })
	to := sort.Search(len(h.window), func(i int) bool { return h.window[i].Revision > upTo })
	return append([]Event(nil), h.window[from:to]...), true
}

// Reach returns once the state has a revision, or with the cause of ctx's end.
func (s *Store) Reach(ctx context.Context, revision uint64) error {
	for {
		reached, moved := s.history.reached(revision)
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reached tells whether a revision is there, and else returns a channel that is
// closed when another one comes.
func (h *history) reached(revision uint64) (bool, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.revision >= revision {
		return true, nil
	}
	if h.moved == nil {
		h.moved = make(chan struct{})
	}
	return false, h.moved
}

// move sets the revision of the last change and wakes those who wait for one.
func (h *history) move(revision uint64) {
	h.revision = revision
	if h.moved != nil {
		close(h.moved)
		h.moved = nil
	}
}
