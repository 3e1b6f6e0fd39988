package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// raceLimit is how often a change is planned anew because somebody else wrote
// first, before the client is told to come again.
const raceLimit = 64

// commit plans the steps and applies them as one transaction, again and again
// while others win the race for what they touch. The first plan is made on the
// local state, which may be behind: its success is safe because the transaction
// checks what it read, and its refusal is believed only after a linearizable read.
func (s *Service) commit(ctx context.Context, dryRun bool, steps ...step) ([]Outcome, error) {
	return s.commitOn(ctx, s.replica.Store().View(), false, dryRun, steps)
}

// commitFresh is commit of one step that was planned in vain on what this member
// had.
func (s *Service) commitFresh(ctx context.Context, dryRun bool, st step) ([]Outcome, error) {
	view, err := s.read(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return s.commitOn(ctx, view, true, dryRun, []step{st})
}

func (s *Service) commitOn(ctx context.Context, view state.View, fresh, dryRun bool, steps []step) ([]Outcome, error) {
	refresh := func() (err error) {
		view, err = s.read(ctx)
		fresh = true
		return err
	}
	for attempt := 0; attempt < raceLimit; attempt++ {
		p := &plan{kinds: s.kinds, view: view, now: s.now()}
		outcomes, err := p.run(steps)
		stale := !fresh && (err != nil || dryRun || p.written.empty())
		if stale {
			if err := refresh(); err != nil {
				return nil, unavailable(err)
			}
			continue
		}
		if err != nil || dryRun || p.written.empty() {
			return outcomes, err
		}
		if p.ledger.changed() {
			if namespace, ok := p.alone(); ok {
				return s.together(ctx, namespace, steps)
			}
			if err := p.settleLedger(); err != nil {
				return nil, err
			}
		}
		done, err := s.apply(ctx, p, outcomes)
		if done || err != nil {
			return outcomes, err
		}
		if err := refresh(); err != nil {
			return nil, unavailable(err)
		}
	}
	return nil, errRaced()
}

func (p *plan) run(steps []step) ([]Outcome, error) {
	outcomes := make([]Outcome, len(steps))
	if len(steps) > 1 {
		p.pending = make(pendings, len(steps))
	}
	for i, plan := range steps {
		var err error
		if outcomes[i], err = plan(p); err != nil {
			return nil, AtOperation(i, len(steps), err)
		}
	}
	if len(steps) > 1 {
		settle(outcomes)
	}
	return outcomes, nil
}

// apply proposes the transaction; it is done unless a precondition failed.
func (s *Service) apply(ctx context.Context, p *plan, outcomes []Outcome) (bool, error) {
	result, err := s.replica.Apply(ctx, transactions(p)[0])
	if err != nil {
		return false, unsettled(err)
	}
	if result.FailedOperation >= 0 {
		return false, nil
	}
	for i := range outcomes {
		outcomes[i].revise(result)
	}
	return true, nil
}

// idSize is how many random bytes tell a transaction from all others.
const idSize = 16

// transactions returns those of plans, each with an id of its own.
func transactions(plans ...*plan) []*storev1.Transaction {
	ids := make([]byte, idSize*len(plans))
	_, _ = rand.Read(ids) // never fails
	txs := make([]*storev1.Transaction, len(plans))
	for i, p := range plans {
		txs[i] = &p.tx
		txs[i].Id, ids = ids[:idSize:idSize], ids[idSize:]
	}
	return txs
}

// revise gives the object the revision that it was stored at.
func (o *Outcome) revise(result *storev1.Result) {
	if o.operation >= 0 && !o.Gone && o.operation < len(result.GetRevisions()) {
		o.Object.Revision = result.Revisions[o.operation]
	}
}

// OperationError is the error of a transaction of several operations. It reads
// like that of the operation, with its index before.
type OperationError struct {
	// Index of the operation that refused.
	Index int
	// Refusal is its error.
	Refusal apierrors.APIStatus
}

// Error returns the message.
func (e *OperationError) Error() string { return e.Status().Message }

// Status returns the refusal with the index in its message.
func (e *OperationError) Status() metav1.Status {
	s := e.Refusal.Status()
	s.Message = fmt.Sprintf("operation %d: %s", e.Index, s.Message)
	return s
}

// AtOperation says which operation of a transaction refused, unless it is the only
// one or err is no answer of the API.
func AtOperation(i, of int, err error) error {
	status := apierrors.APIStatus(nil)
	if of == 1 || !errors.As(err, &status) {
		return err
	}
	return &OperationError{Index: i, Refusal: status}
}
