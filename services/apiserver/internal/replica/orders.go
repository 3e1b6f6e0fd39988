package replica

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// enqueueTimeout bounds the wait for Raft to take an entry in.
const enqueueTimeout = time.Second

// orders are the entries that this member, leading, has appended to the log and
// that are not applied yet. One goroutine waits for all of them, in turn, as they
// are applied in turn.
type orders struct {
	raft    *raft.Raft
	halted  chan struct{} // closed when Raft has ended
	waiting chan order
	// committed hears of entries, and of a term in which they were committed.
	committed func(index, term uint64)
}

// order is an entry that somebody waits for.
type order struct {
	future raft.ApplyFuture
	done   func([]*storev1.Result, uint64, error)
}

func newOrders(r *raft.Raft, halted chan struct{}, committed func(index, term uint64)) *orders {
	return &orders{raft: r, halted: halted, committed: committed, waiting: make(chan order, 2*batchesInFlight)}
}

// place appends a command to the log, if this member leads. done is called with
// its results and its index once it is applied; errNotLeader means that it never
// will be, any other error leaves that open.
func (o *orders) place(command []byte, done func(results []*storev1.Result, index uint64, err error)) {
	failpoint.Hit("replica/write/order")
	future := o.raft.Apply(command, enqueueTimeout)
	endWithRaft(future, o.halted)
	select {
	case o.waiting <- order{future, done}:
	case <-o.halted:
		done(nil, 0, raft.ErrRaftShutdown)
	}
}

func (o *orders) run(ctx context.Context) error {
	for {
		select {
		case next := <-o.waiting:
			results, index, err := outcome(next.future)
			next.done(results, index, err)
			if err == nil {
				o.committed(index, o.raft.CurrentTerm())
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// outcome waits for an entry. It is the one place that looks at both the error
// and the response: what the machine returns, errors too, is the response.
func outcome(future raft.ApplyFuture) ([]*storev1.Result, uint64, error) {
	switch err := future.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return nil, 0, fmt.Errorf("%w: %w", errNotLeader, err)
	case err != nil:
		return nil, 0, fmt.Errorf("append to log: %w", err)
	}
	failpoint.Hit("replica/write/ordered")
	switch response := future.Response().(type) {
	case []*storev1.Result:
		return response, future.Index(), nil
	case error:
		return nil, 0, fmt.Errorf("apply: %w", response)
	default:
		return nil, 0, fmt.Errorf("apply: unexpected response %T", response)
	}
}

// prove applies an empty entry; it tells that this member leads and has applied
// all that was committed before.
func (o *orders) prove(ctx context.Context) bool {
	proven := make(chan bool, 1)
	o.place(new(batch).command(time.Now()), func(_ []*storev1.Result, _ uint64, err error) { proven <- err == nil })
	select {
	case ok := <-proven:
		return ok
	case <-ctx.Done():
		return false
	}
}

// endWithRaft has a future end when Raft has ended: Raft (1.8.0) forgets some, as
// of an entry that is queued for the state machine while it shuts down, and who
// waits for them would wait forever. Futures have a field for that which Raft
// does not set in all of them, and no other way in.
func endWithRaft(future raft.Future, halted chan struct{}) {
	v := reflect.ValueOf(future)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return // an error that is known already
	}
	if field := v.Elem().FieldByName("ShutdownCh"); field.IsValid() && field.CanSet() {
		field.Set(reflect.ValueOf(halted))
	}
}
