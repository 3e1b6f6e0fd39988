package state

import (
	"context"
	"slices"
	"sync"
)

// pastKept is how many versions of the past are kept once they were made: a list
// asks for the same one again for each of its pages.
const pastKept = 2

// past holds the versions that were made last, while their revisions are
// remembered.
type past struct {
	mu   sync.Mutex
	made [pastKept]*snapshot
	next int // to be replaced
}

// at returns the version of a revision, nil when it is not there.
func (p *past) at(revision uint64) *snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.made {
		if s != nil && s.revision == revision {
			return s
		}
	}
	return nil
}

func (p *past) keep(s *snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[p.next] = s
	p.next = (p.next + 1) % pastKept
}

// forget drops the versions before a revision.
func (p *past) forget(before uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.made {
		if s != nil && s.revision < before {
			p.made[i] = nil
		}
	}
}

// ViewAt returns the state as it was at a revision, or ErrTooOld when the events
// since are no longer remembered, or ErrAhead. It undoes those events in a copy,
// so that past versions need not be kept in case somebody asks for them: each
// holds the nodes of the trees that were replaced since. The index of the view is
// that of a later state.
func (s *Store) ViewAt(revision uint64) (View, error) {
	now := s.current.Load()
	if revision == now.revision {
		return View{now}, nil
	} else if revision > now.revision {
		return View{}, ErrAhead
	}
	if made := s.past.at(revision); made != nil {
		return View{made}, nil
	}
	_ = s.Reach(context.Background(), now.revision) // Events come right behind their version.
	events, ok := s.history.between(revision, now.revision)
	if !ok {
		return View{}, ErrTooOld
	}
	made := now.before(events, revision)
	s.past.keep(made)
	return View{made}, nil
}

// Forget drops what is remembered of changes up to a revision: who asks for the state
// before it, or watches from there, is told ErrTooOld.
func (s *Store) Forget(revision uint64) { s.past.forget(s.history.forgetUpTo(revision)) }

// Revision is that of the last change.
func (s *Store) Revision() uint64 { return s.current.Load().revision }

// before returns the version as it was at a revision, before the last events.
func (s *snapshot) before(events []Event, revision uint64) *snapshot {
	b := newBatch(s, nil)
	for _, e := range slices.Backward(events) {
		b.replace(e.Entry, e.Prev)
	}
	b.revision = revision
	return b.commit(s.index)
}

// between returns the events after one revision, up to another one that was
// reached; false when some are forgotten.
func (h *history) between(after, upTo uint64) ([]Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.floor > after || h.revision < upTo { // the latter after a Restore
		return nil, false
	}
	return slices.Clone(h.window[after-h.floor:][:upTo-after]), true
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
