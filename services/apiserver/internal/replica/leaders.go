package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// leaders knows who leads, and tells those who wait when that changes.
type leaders struct {
	raft     *raft.Raft
	observed chan raft.Observation
	observer *raft.Observer
	// proven is the term in which this member, leading, has applied an entry of
	// its own. Only then has it applied all that its predecessors committed.
	proven atomic.Uint64

	mu      sync.Mutex
	changed chan struct{}
}

func newLeaders(r *raft.Raft) *leaders {
	l := &leaders{raft: r, observed: make(chan raft.Observation, 16), changed: make(chan struct{})}
	// What does not fit into the channel is dropped: any one observation makes
	// run look at what is.
	l.observer = raft.NewObserver(l.observed, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	r.RegisterObserver(l.observer)
	return l
}

func (l *leaders) close() { l.raft.DeregisterObserver(l.observer) }

// run watches for changes; prove is called when this member leads anew.
func (l *leaders) run(ctx context.Context, prove func(context.Context) bool) error {
	for {
		retry := time.Duration(0)
		if l.raft.State() == raft.Leader && !l.ready() {
			term := l.raft.CurrentTerm()
			if prove(ctx) && l.raft.CurrentTerm() == term {
				l.proven.Store(term)
			} else {
				retry = 20 * time.Millisecond
			}
		}
		l.notify()
		if retry > 0 {
			sleep(ctx, retry)
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		select {
		case <-l.observed:
		case <-ctx.Done():
			return nil
		}
	}
}

// ready tells whether this member leads and has applied all there was before.
func (l *leaders) ready() bool {
	return l.raft.State() == raft.Leader && l.proven.Load() == l.raft.CurrentTerm()
}

func (l *leaders) notify() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// change returns a channel that is closed when somebody else leads or may do so.
func (l *leaders) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// address returns where the leader is, if one is known.
func (l *leaders) address() string {
	address, _ := l.raft.LeaderWithID()
	return string(address)
}

// outlast waits until the leader is another one than that at an address.
func (l *leaders) outlast(ctx context.Context, address string) {
	for {
		changed := l.change()
		if l.address() != address {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// bounded returns a context for one try to reach the leader: it ends when the
// time is up or somebody else leads.
func (l *leaders) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	was := l.address()
	go func() {
		l.outlast(ctx, was)
		cancel()
	}()
	return ctx, cancel
}
