package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Read returns a view that holds every write that was acknowledged, by any
// member, before the call. It tries until ctx ends, with ErrNoLeader then.
func (r *Replica) Read(ctx context.Context) (state.View, error) {
	err := r.enfranchised(ctx)
	var index uint64
	if err == nil {
		index, err = r.indexToRead(ctx)
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

// indexToRead finds what must be applied here before a read. A leader asks itself
// together with the others; nobody else is there to share a question with.
func (r *Replica) indexToRead(ctx context.Context) (uint64, error) {
	if r.IsLeader() {
		if index, err := r.confirmed(ctx); err == nil {
			return index, nil
		}
	}
	return r.reads.index(ctx)
}

// WaitReady returns once the member knows a leader and has applied all that was
// committed when it found it.
func (r *Replica) WaitReady(ctx context.Context) error {
	if _, err := r.Read(ctx); err != nil {
		return fmt.Errorf("wait until ready: %w", err)
	}
	return nil
}

// rounds has those who ask for an index at the same time share one question.
type rounds struct {
	// question finds the index. Its error is the answer of all who share it.
	question func(context.Context) (uint64, error)
	wake     chan struct{}
	stopped  chan struct{}

	mu   sync.Mutex
	next *round // not begun; those who arrive now may share it
}

// round is one question. Its answer holds for all who asked before it began.
type round struct {
	done  chan struct{} // closed when index or err is set
	index uint64
	err   error
}

func newRounds(question func(context.Context) (uint64, error)) *rounds {
	return &rounds{question: question, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// index returns an index that was found after the call.
func (q *rounds) index(ctx context.Context) (uint64, error) {
	q.mu.Lock()
	if q.next == nil {
		q.next = &round{done: make(chan struct{})}
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	mine := q.next
	q.mu.Unlock()
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-q.stopped:
		return 0, ErrStopped
	}
}

func (q *rounds) run(ctx context.Context) error {
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
		current.index, current.err = q.question(ctx)
		if ctx.Err() != nil {
			return nil
		}
		close(current.done)
	}
}

// readIndex asks whoever leads until it gets an answer.
func (r *Replica) readIndex(ctx context.Context) (uint64, error) {
	for {
		changed := r.leaders.change()
		ask := r.upstream.readIndex
		if r.IsLeader() {
			ask = r.confirmed
		}
		index, err := ask(ctx)
		if err == nil || ctx.Err() != nil {
			return index, err
		}
		r.config.Logger.Debug("ask for read index again", "error", err)
		pause(ctx, changed)
	}
}

// confirmed makes sure that this member leads still, and returns the index of a
// command at or behind all that was committed when it was called.
//
// A command's index is what it returns, and not that of the last entry, because
// the entries that Raft appends for itself are not seen by those who apply.
func (r *Replica) confirmed(ctx context.Context) (uint64, error) {
	committed, err := r.confirmations.index(ctx)
	if err != nil {
		return 0, err
	}
	if err := r.machine.wait(ctx, committed); err != nil {
		return 0, err
	}
	return r.config.Store.View().Index(), nil
}

// confirm returns what was committed when it was called, by this member, which
// leads still. It is the commit index, and not what is applied here, because
// another member may have applied, and shown, more than the leader has.
func (r *Replica) confirm(ctx context.Context) (uint64, error) {
	term := r.raft.CurrentTerm()
	if !r.leaders.ready() {
		return 0, errNotLeader
	}
	committed := r.raft.CommitIndex()
	if err := r.verify(ctx); err != nil {
		return 0, err
	}
	if !r.leaders.ready() || r.raft.CurrentTerm() != term {
		return 0, errNotLeader
	}
	return committed, nil
}

// verify returns once it is sure that nobody else had begun to lead when it was
// called, in a later term.
func (r *Replica) verify(ctx context.Context) error {
	voters := r.voters()
	if len(voters) == 1 && voters[0].ID == r.config.ID {
		return nil // Nobody is elected without this member's vote, which its term tells.
	}
	asked := r.transport.acks.next()
	verification := r.raft.VerifyLeader()
	endWithRaft(verification, r.halted)
	switch err := verification.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost):
		return fmt.Errorf("%w: %w", errNotLeader, err)
	case err != nil:
		return fmt.Errorf("verify leader: %w", err)
	}
	// What convinced Raft may be an answer to an older question. The heartbeats
	// that it sent for this one are answered soon.
	if err := r.acknowledged(ctx, voters, asked); err != nil {
		return fmt.Errorf("%w: %w", errNotLeader, err)
	}
	return nil
}

// acknowledged waits until a majority of the voters has accepted what this member
// has sent them, leading, after a moment.
func (r *Replica) acknowledged(ctx context.Context, voters []Member, since uint64) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timing.Heartbeat)
	defer cancel()
	var others []raft.ServerID
	for _, m := range voters {
		if m.ID != r.config.ID {
			others = append(others, raft.ServerID(m.ID))
		}
	}
	enough := len(voters)/2 + 1
	if len(others) < len(voters) {
		enough-- // this member is one of them
	}
	return r.transport.acks.wait(ctx, others, enough, since)
}
