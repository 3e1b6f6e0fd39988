package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Read returns a view that holds every write that was acknowledged, by any
// member, before the call. It tries until ctx ends, with ErrNoLeader then.
func (r *Replica) Read(ctx context.Context) (state.View, error) {
	err := r.enfranchised(ctx)
	var index uint64
	if err == nil {
		index, err = r.reads.index(ctx)
	}
	if err == nil {
		err = r.machine.wait(ctx, index)
	}
	switch {
	case errors.Is(err, ErrStopped):
		return state.View{}, fmt.Errorf("read: %w", err)
	case err != nil:
		return state.View{}, fmt.Errorf("read: %w: %w", ErrNoLeader, err)
	}
	return r.config.Store.View(), nil
}

// WaitReady returns once the member knows a leader and has applied all that was
// committed when it found it.
func (r *Replica) WaitReady(ctx context.Context) error {
	if _, err := r.Read(ctx); err != nil {
		return fmt.Errorf("wait until ready: %w", err)
	}
	return nil
}

// reads has concurrent reads share one question to the leader.
type reads struct {
	replica *Replica
	wake    chan struct{}
	stopped chan struct{}

	mu   sync.Mutex
	next *round // not begun; those who arrive now may share it
}

// round is one question to the leader. Its answer holds for all who asked before
// it began.
type round struct {
	done  chan struct{}
	index uint64
}

func newReads(r *Replica) *reads {
	return &reads{replica: r, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// index returns what must be applied before a read may be answered.
func (q *reads) index(ctx context.Context) (uint64, error) {
	q.mu.Lock()
	if q.next == nil {
		q.next = &round{done: make(chan struct{})}
	}
	mine := q.next
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	select {
	case <-mine.done:
		return mine.index, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-q.stopped:
		return 0, ErrStopped
	}
}

func (q *reads) run(ctx context.Context) error {
	defer close(q.stopped)
	for {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
		q.mu.Lock()
		current := q.next
		q.next = nil
		q.mu.Unlock()
		if current == nil {
			continue
		}
		for {
			changed := q.replica.leaders.change()
			index, err := q.replica.readIndex(ctx)
			if err == nil {
				current.index = index
				close(current.done)
				break
			}
			if ctx.Err() != nil {
				return nil
			}
			q.replica.config.Logger.Debug("ask for read index again", "error", err)
			pause(ctx, changed)
		}
	}
}

// readIndex asks whoever leads.
func (r *Replica) readIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := r.leaders.bounded(ctx, r.config.Timing.Attempt)
	defer cancel()
	if r.IsLeader() {
		return r.confirm(ctx)
	}
	leader := r.leaders.address()
	if leader == "" {
		return 0, errNotLeader
	}
	client, err := r.peers.client(leader)
	if err != nil {
		return 0, err
	}
	response, err := client.ReadIndex(ctx, &clusterv1.ReadIndexRequest{})
	if err != nil {
		return 0, err
	}
	return response.GetIndex(), nil
}

// confirm makes sure that this member leads still, and returns the index of a
// command at or behind all that was committed when it was called.
//
// The commit index, and not what is applied here, is what counts: another member
// may have applied, and shown, more than the leader has. And a command's index is
// what it returns, because the entries that Raft appends for itself are not seen
// by those who apply.
func (r *Replica) confirm(ctx context.Context) (uint64, error) {
	term := r.raft.CurrentTerm()
	if !r.leaders.ready() {
		return 0, errNotLeader
	}
	committed := r.raft.CommitIndex()
	switch err := r.raft.VerifyLeader().Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost):
		return 0, fmt.Errorf("%w: %w", errNotLeader, err)
	case err != nil:
		return 0, fmt.Errorf("verify leader: %w", err)
	}
	if !r.leaders.ready() || r.raft.CurrentTerm() != term {
		return 0, errNotLeader
	}
	if err := r.machine.wait(ctx, committed); err != nil {
		return 0, err
	}
	return r.config.Store.View().Index(), nil
}
