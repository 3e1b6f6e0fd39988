package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/failpoint"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Bounds of group commit.
const (
	// batchCount and batchBytes bound what shares a log entry, but for a
	// transaction that is larger by itself.
	batchCount = 512
	batchBytes = 512 << 10
	// batchesInFlight is how many batches of this member may be under way. While
	// they are, what arrives gathers.
	batchesInFlight = 2
	// worthwhile is how many transactions make a leader write another log entry
	// before it knows what became of the one before: each costs an fsync and a
	// round of messages on every member, and fewer would hardly wait longer.
	worthwhile = 128
	// A member waits lingerFactor times as long as its last batch took, at most
	// lingerMost, until those whose answer it was have called again. Where it were
	// only once as long, a leader would leave without one of the others' every third
	// time, whose callers would then make an entry of their own.
	lingerFactor = 2
	lingerMost   = 4 * time.Millisecond
	// retryPause lies between two tries, unless somebody else leads.
	retryPause = 25 * time.Millisecond
)

// proposals gathers the transactions of this member, and on the leader also what
// the others forward, into batches.
type proposals struct {
	replica  *Replica
	queue    chan *proposal
	returned chan *batch // tried; settled if it has no error
	stopped  chan struct{}

	// What follows is run's alone.
	flying   int       // batches that were not settled yet
	underway int       // transactions of theirs
	next     *batch    // what has gathered since; nil if nothing has
	held     *proposal // did not fit into next
	again    []*batch  // to be tried again after a pause

	lingering bool        // waits for those who were just answered; see await
	linger    *time.Timer // ends that
	expected  int         // so do as many transactions
}

func newProposals(r *Replica) *proposals {
	return &proposals{
		replica:  r,
		queue:    make(chan *proposal, batchCount),
		returned: make(chan *batch, batchesInFlight),
		stopped:  make(chan struct{}),
	}
}

// add queues a proposal.
func (q *proposals) add(ctx context.Context, p *proposal) error {
	failpoint.Hit("replica/write/queued")
	select {
	case q.queue <- p:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("apply transaction: %w: %w", ErrNoLeader, context.Cause(ctx))
	case <-q.stopped:
		return fmt.Errorf("apply transaction: %w", ErrStopped)
	}
}

// wait returns what became of a group.
func (q *proposals) wait(ctx context.Context, g *group) ([]*storev1.Result, error) {
	select {
	case <-g.done: // what is known counts, even if ctx has ended
		return g.results, g.err
	default:
	}
	select {
	case <-g.done:
		return g.results, g.err
	case <-ctx.Done():
		return nil, fmt.Errorf("apply transaction: %w: %w", ErrNoLeader, context.Cause(ctx))
	case <-q.stopped:
		return nil, fmt.Errorf("apply transaction: %w: %w", ErrNoLeader, ErrStopped)
	}
}

func (q *proposals) run(ctx context.Context) error {
	defer close(q.stopped)
	pause := time.NewTimer(retryPause)
	defer pause.Stop()
	q.linger = time.NewTimer(lingerMost)
	defer q.linger.Stop()
	for {
		if q.due() {
			q.try(q.depart())
			continue
		}
		var arrivals <-chan *proposal
		if q.held == nil {
			arrivals = q.queue
		}
		var changed <-chan struct{}
		var over <-chan time.Time
		if len(q.again) > 0 {
			changed, over = q.again[0].changed, pause.C
		}
		select {
		case p := <-arrivals:
			q.gather(p)
		case b := <-q.returned:
			if q.judge(b) && len(q.again) == 1 {
				pause.Reset(retryPause)
			}
		case <-q.linger.C:
			q.lingering = false
		case <-changed:
			q.retry()
		case <-over:
			q.retry()
		case <-ctx.Done():
			return nil
		}
	}
}

// try has a batch ordered by this member if it leads, else by the one that does.
// It comes back to returned.
func (q *proposals) try(b *batch) {
	r := q.replica
	leads := r.IsLeader()
	b.keep(func(p *proposal) bool {
		if !leads && !p.retried {
			p.answer(nil, errNotLeader)
			return false
		}
		return p.ctx.Err() == nil
	})
	switch {
	case b.count == 0:
		q.land(b)
	case leads && r.room.refusal() != nil:
		q.tried(b, nil, r.room.refusal())
	case leads:
		b.changed = r.leaders.change()
		r.orders.place(b.command(time.Now()), func(results []*storev1.Result, _ uint64, err error) { q.tried(b, results, err) })
	default:
		b.changed = r.leaders.change()
		r.upstream.propose(b, func(results []*storev1.Result, err error) { q.tried(b, results, err) })
	}
}

// tried is called, by anybody, when the outcome of a try is known.
func (q *proposals) tried(b *batch, results []*storev1.Result, err error) {
	if err == nil && len(results) != b.count {
		err = fmt.Errorf("%d results for %d transactions", len(results), b.count)
	}
	if b.err = err; err == nil {
		b.answer(results)
	}
	q.returned <- b // has room for all that fly
}

// judge decides what becomes of a batch that was tried, and tells whether it is
// to be tried again.
func (q *proposals) judge(b *batch) bool {
	if b.err == nil {
		q.land(b)
		return false
	}
	q.replica.config.Logger.Debug("propose again", "transactions", b.count, "error", b.err)
	gone := q.replica.config.Store.Transactions() - b.begun
	b.keep(func(p *proposal) bool {
		switch {
		case !p.retried:
			p.answer(nil, b.err)
		case status.Code(b.err) == codes.InvalidArgument:
			p.answer(nil, fmt.Errorf("%w: %w", ErrInvalid, b.err))
		case refusedForRoom(b.err) && !b.open:
			p.answer(nil, fmt.Errorf("apply transaction: %w", diskFull(b.err)))
		case gone > state.OutcomesKept/2, refusedForRoom(b.err):
			p.answer(nil, fmt.Errorf("apply transaction: %w: %w", ErrUnknown, b.err))
		default:
			return true
		}
		return false
	})
	if b.count == 0 {
		q.land(b)
		return false
	}
	b.open = b.open || !errors.Is(b.err, errNotLeader)
	q.again = append(q.again, b)
	return true
}

// retry tries what was to be tried again.
func (q *proposals) retry() {
	again := q.again
	q.again = nil
	for _, b := range again {
		q.try(b)
	}
}

// pause waits before another try: not long, and less if the leader changes.
func pause(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
