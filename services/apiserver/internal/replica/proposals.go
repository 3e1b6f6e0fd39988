package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Bounds of group commit.
const (
	// batchCount and batchBytes bound what shares a log entry, but for a
	// transaction that is larger by itself.
	batchCount = 512
	batchBytes = 256 << 10
	// batchesInFlight is how many log entries of this member may be under way.
	// While they are, what arrives gathers.
	batchesInFlight = 4
	// enqueueTimeout bounds the wait for Raft to take an entry in.
	enqueueTimeout = time.Second
)

// proposal is transactions that somebody waits for together.
type proposal struct {
	ctx          context.Context
	transactions []*storev1.Transaction
	bytes        int
	results      []*storev1.Result // one for each transaction, unless err is set
	err          error
	done         chan struct{} // closed when results or err is set
}

func newProposal(ctx context.Context, capacity int) *proposal {
	return &proposal{ctx: ctx, transactions: make([]*storev1.Transaction, 0, capacity), done: make(chan struct{})}
}

// fits tells whether more may share the proposal's log entry.
func (p *proposal) fits(count, bytes int) bool {
	return len(p.transactions)+count <= batchCount && p.bytes+bytes <= batchBytes
}

func (p *proposal) settle(results []*storev1.Result, err error) {
	p.results, p.err = results, err
	close(p.done)
}

// proposals gathers the transactions of this member into batches.
type proposals struct {
	replica *Replica
	queue   chan *proposal
	stopped chan struct{}
}

func newProposals(r *Replica) *proposals {
	return &proposals{replica: r, queue: make(chan *proposal, batchCount), stopped: make(chan struct{})}
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

// wait returns what became of a proposal.
func (q *proposals) wait(ctx context.Context, p *proposal) ([]*storev1.Result, error) {
	select {
	case <-p.done: // what is known counts, even if ctx has ended
		return p.results, p.err
	default:
	}
	select {
	case <-p.done:
		return p.results, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("apply transaction: %w: %w", ErrNoLeader, context.Cause(ctx))
	case <-q.stopped:
		return nil, fmt.Errorf("apply transaction: %w: %w", ErrNoLeader, ErrStopped)
	}
}

func (q *proposals) run(ctx context.Context) error {
	defer close(q.stopped)
	var flights sync.WaitGroup
	defer flights.Wait()
	slots := make(chan struct{}, batchesInFlight)
	var held *proposal // did not fit into the batch before
	for {
		first := held
		if first == nil {
			select {
			case first = <-q.queue:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		var batch []*proposal
		batch, held = q.gather(first)
		flights.Go(func() {
			defer func() { <-slots }()
			q.flush(ctx, batch)
		})
	}
}

// gather takes what has arrived, as far as the bounds go.
func (q *proposals) gather(first *proposal) (batch []*proposal, held *proposal) {
	batch = append(batch, first)
	count, bytes := len(first.transactions), first.bytes
	for {
		select {
		case p := <-q.queue:
			count, bytes = count+len(p.transactions), bytes+p.bytes
			if count > batchCount || bytes > batchBytes {
				return batch, p
			}
			batch = append(batch, p)
		default:
			return batch, nil
		}
	}
}

// flush tries a batch until it is settled or nobody waits for it any more.
func (q *proposals) flush(ctx context.Context, batch []*proposal) {
	r := q.replica
	begun := r.config.Store.Transactions()
	for {
		var transactions []*storev1.Transaction
		if batch, transactions = waitedFor(batch); len(batch) == 0 || ctx.Err() != nil {
			return
		}
		changed := r.leaders.change()
		results, err := r.propose(ctx, transactions)
		switch {
		case err == nil && len(results) == len(transactions):
			for _, p := range batch {
				n := len(p.transactions)
				p.settle(results[:n:n], nil)
				results = results[n:]
			}
			return
		case status.Code(err) == codes.InvalidArgument:
			settleAll(batch, fmt.Errorf("%w: %w", ErrInvalid, err))
			return
		case r.config.Store.Transactions()-begun > state.OutcomesKept/2:
			settleAll(batch, fmt.Errorf("apply transaction: %w: %w", ErrUnknown, err))
			return
		}
		r.config.Logger.Debug("propose again", "transactions", len(transactions), "error", err)
		pause(ctx, changed)
	}
}

// pause waits before another try: not long, and less if the leader changes.
func pause(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(25 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

func settleAll(batch []*proposal, err error) {
	for _, p := range batch {
		p.settle(nil, err)
	}
}

func waitedFor(batch []*proposal) ([]*proposal, []*storev1.Transaction) {
	live := batch[:0]
	transactions := make([]*storev1.Transaction, 0, len(batch))
	for _, p := range batch {
		if p.ctx.Err() == nil {
			live = append(live, p)
			transactions = append(transactions, p.transactions...)
		}
	}
	return live, transactions
}

// propose has transactions ordered by this member if it leads, else by the one
// that does.
func (r *Replica) propose(ctx context.Context, transactions []*storev1.Transaction) ([]*storev1.Result, error) {
	if r.IsLeader() {
		results, _, err := r.order(transactions)
		return results, err
	}
	leader := r.leaders.address()
	if leader == "" {
		return nil, errNotLeader
	}
	client, err := r.peers.client(leader)
	if err != nil {
		return nil, err
	}
	ctx, cancel := r.leaders.bounded(ctx, r.config.Timing.Attempt)
	defer cancel()
	failpoint.Hit("replica/write/forward")
	response, err := client.Propose(ctx, &clusterv1.ProposeRequest{Transactions: transactions})
	if err != nil {
		return nil, err
	}
	failpoint.Hit("replica/write/forwarded")
	return response.GetResults(), nil
}

// order appends transactions to the log as one entry, if this member leads, and
// returns what became of them once they are applied. errNotLeader means that
// they never will be; any other error leaves that open.
func (r *Replica) order(transactions []*storev1.Transaction) ([]*storev1.Result, uint64, error) {
	data, err := proto.Marshal(&storev1.Command{Transactions: transactions, TimeUnixNano: time.Now().UnixNano()})
	if err != nil {
		return nil, 0, fmt.Errorf("encode command: %w", err)
	}
	failpoint.Hit("replica/write/order")
	future := r.raft.Apply(data, enqueueTimeout)
	switch err := future.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return nil, 0, fmt.Errorf("%w: %w", errNotLeader, err)
	case err != nil:
		return nil, 0, fmt.Errorf("append to log: %w", err)
	}
	failpoint.Hit("replica/write/ordered")
	// What the machine returns, errors too, is the response and not the error.
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
func (r *Replica) prove() bool {
	_, _, err := r.order(nil)
	return err == nil
}
