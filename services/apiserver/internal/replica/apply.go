package replica

import (
	"context"
	"crypto/rand"
	"fmt"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// TransactionMax bounds one encoded transaction, in bytes.
const TransactionMax = 8 << 20

// Outcome is what became of one of several transactions: a result, or an error
// that says why none is known.
type Outcome struct {
	Result *storev1.Result
	Err    error
}

// Apply has a transaction ordered and applied, on whatever member leads, and
// returns its result. A precondition that does not hold is a result, not an
// error. It tries until ctx ends; a transaction is applied once however often it
// is tried. If ctx ends first, the error is ErrNoLeader and the transaction may
// yet be applied. Other errors are ErrInvalid, ErrUnknown and ErrStopped.
func (r *Replica) Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	outcome := r.ApplyAll(ctx, []*storev1.Transaction{tx})[0]
	return outcome.Result, outcome.Err
}

// ApplyAll is Apply for several transactions at the price of one: it returns what
// became of each, in their order, once that is known of all. They are
// transactions of their own that happen to arrive together: one whose
// precondition does not hold, or that is invalid, keeps none of the others from
// being applied. They are applied in their order unless the leader is lost
// meanwhile or they are too large for one log entry; who needs an order for
// certain waits for the first or says so by preconditions.
func (r *Replica) ApplyAll(ctx context.Context, transactions []*storev1.Transaction) []Outcome {
	outcomes := make([]Outcome, len(transactions))
	groups := r.group(ctx, transactions, outcomes)
	for i, g := range groups {
		if err := r.proposals.add(ctx, g.proposal); err != nil {
			for _, late := range groups[i:] {
				late.answer(nil, err)
			}
			break
		}
	}
	for _, g := range groups {
		results, err := r.proposals.wait(ctx, g)
		for i, at := range g.at {
			if outcomes[at].Err = err; err == nil {
				outcomes[at].Result = results[i]
			}
		}
	}
	return outcomes
}

// group is a proposal that a call waits for, and where its transactions stand
// among those of the call.
type group struct {
	*proposal
	at      []int
	results []*storev1.Result // one for each transaction, unless err is set
	err     error
	done    chan struct{} // closed when results or err is set
}

// newGroup returns a group with room for some transactions of a size.
func newGroup(ctx context.Context, count, size int) *group {
	g := &group{at: make([]int, 0, count), done: make(chan struct{})}
	room := max(size, min(count*size, batchBytes)) + count*transactionHead
	g.proposal = &proposal{ctx: ctx, retried: true, encoded: make([]byte, 0, room), answer: g.settle}
	return g
}

func (g *group) settle(results []*storev1.Result, err error) {
	g.results, g.err = results, err
	close(g.done)
}

// group makes as few proposals of transactions as the bounds of a log entry
// allow: mostly one. What is wrong with a transaction becomes its outcome.
func (r *Replica) group(ctx context.Context, transactions []*storev1.Transaction, outcomes []Outcome) []*group {
	var groups []*group
	var last *group
	for i, tx := range transactions {
		if err := state.Check(tx); err != nil {
			outcomes[i].Err = fmt.Errorf("%w: %w", ErrInvalid, err)
			continue
		}
		tx = identified(tx)
		size := tx.SizeVT()
		if size > TransactionMax {
			outcomes[i].Err = fmt.Errorf("%w: %d bytes are more than %d", ErrInvalid, size, TransactionMax)
			continue
		}
		if last == nil || !last.fits(1, size) {
			last = newGroup(ctx, len(transactions)-i, size)
			groups = append(groups, last)
		}
		if err := last.append(tx, size); err != nil {
			outcomes[i].Err = fmt.Errorf("%w: %w", ErrInvalid, err)
			continue
		}
		last.at = append(last.at, i)
	}
	return groups
}

// identified returns a transaction with an id.
func identified(tx *storev1.Transaction) *storev1.Transaction {
	if len(tx.GetId()) > 0 {
		return tx
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return &storev1.Transaction{Operations: tx.GetOperations(), Expire: tx.GetExpire(), Id: id}
}
