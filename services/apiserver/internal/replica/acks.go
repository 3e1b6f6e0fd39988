package replica

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// acks knows which requests of this leader its followers have answered, so that a
// leader can tell an answer to what it asked just now from one that was on its way
// before, or lay in a buffer while the process was stopped. Raft (1.8.0) takes any
// answer for a proof that it leads still.
type acks struct {
	changed signal

	mu   sync.Mutex
	last uint64                   // number of the last request
	seen map[raft.ServerID]uint64 // the latest request that a follower has accepted
}

// next numbers a request that is about to be sent, or a moment.
func (a *acks) next() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	return a.last
}

// accepted notes that a follower has accepted a request.
func (a *acks) accepted(by raft.ServerID, request uint64) {
	a.mu.Lock()
	if a.seen == nil {
		a.seen = make(map[raft.ServerID]uint64)
	}
	a.seen[by] = max(a.seen[by], request)
	a.mu.Unlock()
	a.changed.notify()
}

// count returns how many of some followers have accepted a request that was sent
// after a moment.
func (a *acks) count(followers []raft.ServerID, since uint64) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range followers {
		if a.seen[id] > since {
			n++
		}
	}
	return n
}

// wait returns once enough of some followers have accepted a request that was sent
// after a moment.
func (a *acks) wait(ctx context.Context, followers []raft.ServerID, enough int, since uint64) error {
	for {
		changed := a.changed.change()
		if a.count(followers, since) >= enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
