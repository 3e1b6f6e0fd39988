package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// raceLimit is how often a change is planned anew because somebody else wrote
// first, before the client is told to come again.
const raceLimit = 64

// step plans one change against the view of p. It may be called several times,
// each time with another plan, and keeps nothing between the calls.
type step func(p *plan) (Outcome, error)

// Outcome is what became of one change.
type Outcome struct {
	// Object as stored or, when it is gone, as it was.
	Object Stored
	// Gone says that the object no longer exists.
	Gone bool

	operation int // index in the transaction whose revision is the object's, or -1
}

// plan gathers one transaction. Whatever it reads it also checks, so that the
// transaction applies only to the state that it was planned on.
type plan struct {
	ctx     context.Context
	view    state.View
	tx      *storev1.Transaction
	written map[state.Key]int
	checked map[state.Key]bool
	claims  map[registry.Claim]string // owner, "" when this plan lets go of it
}

func newPlan(ctx context.Context, view state.View) *plan {
	return &plan{
		ctx: ctx, view: view, tx: &storev1.Transaction{},
		written: map[state.Key]int{}, checked: map[state.Key]bool{}, claims: map[registry.Claim]string{},
	}
}

func protoKey(k state.Key) *storev1.Key {
	return &storev1.Key{Resource: k.Resource, Namespace: k.Namespace, Name: k.Name}
}

// add appends an operation; each key is acted on once in a transaction.
func (p *plan) add(key state.Key, op *storev1.Operation) (int, error) {
	if _, twice := p.written[key]; twice {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("%s %q is changed twice in one transaction", key.Resource, key.Name))
	}
	op.Key = protoKey(key)
	p.tx.Operations = append(p.tx.Operations, op)
	p.written[key] = len(p.tx.Operations) - 1
	return p.written[key], nil
}

// put stores obj, which value is the encoding of.
func put(k *registry.Kind, obj registry.Object, value []byte) *storev1.Operation {
	return &storev1.Operation{
		Action: storev1.Action_ACTION_PUT, Value: value,
		Index: indexOf(k, obj), ExpiresUnix: expiryOf(k, obj, time.Now()),
	}
}

// expiryOf returns when obj is past its time, in seconds since 1970; 0 is never.
// What has finalizers stays: who set them waits to see it go.
func expiryOf(k *registry.Kind, obj registry.Object, now time.Time) int64 {
	if k.Expires == nil || len(obj.GetFinalizers()) > 0 {
		return 0
	}
	at := k.Expires(obj, now)
	if at.IsZero() {
		return 0
	}
	return max(at.Add(time.Second-1).Unix(), 1) // Not a moment too early.
}

func (p *plan) create(key state.Key, op *storev1.Operation) (int, error) {
	op.Precondition = storev1.Precondition_PRECONDITION_ABSENT
	return p.add(key, op)
}

func (p *plan) replace(e *state.Entry, op *storev1.Operation) (int, error) {
	op.Precondition, op.Revision = storev1.Precondition_PRECONDITION_REVISION, e.ModRevision
	return p.add(e.Key, op)
}

func (p *plan) remove(e *state.Entry) (int, error) {
	return p.add(e.Key, &storev1.Operation{
		Precondition: storev1.Precondition_PRECONDITION_REVISION, Revision: e.ModRevision,
		Action: storev1.Action_ACTION_DELETE,
	})
}

// check makes the transaction depend on e being unchanged.
func (p *plan) check(e *state.Entry) {
	if _, written := p.written[e.Key]; written || p.checked[e.Key] {
		return
	}
	p.checked[e.Key] = true
	p.tx.Operations = append(p.tx.Operations, &storev1.Operation{
		Key: protoKey(e.Key), Precondition: storev1.Precondition_PRECONDITION_REVISION, Revision: e.ModRevision,
	})
}

// commit plans the steps and applies them as one transaction, again and again
// while others win the race for what they touch. The first plan is made on the
// local state, which may be behind: its success is safe because the transaction
// checks what it read, and its refusal is believed only after a linearizable read.
func (s *Service) commit(ctx context.Context, dryRun bool, steps ...step) ([]Outcome, error) {
	view, fresh := s.replica.Store().View(), false
	refresh := func() (err error) {
		view, err = s.read(ctx)
		fresh = true
		return err
	}
	for attempt := 0; attempt < raceLimit; attempt++ {
		p := newPlan(ctx, view)
		outcomes, err := p.run(steps)
		stale := !fresh && (err != nil || dryRun || len(p.written) == 0)
		if stale {
			if err := refresh(); err != nil {
				return nil, unavailable(err)
			}
			continue
		}
		if err != nil || dryRun || len(p.written) == 0 {
			return outcomes, err
		}
		done, err := s.apply(ctx, p, outcomes)
		if done || err != nil {
			return outcomes, err
		}
		if err := refresh(); err != nil {
			return nil, unavailable(err)
		}
	}
	return nil, apierrors.NewTooManyRequests("the object is being changed by many clients at once, please try again", 1)
}

func (p *plan) run(steps []step) ([]Outcome, error) {
	outcomes := make([]Outcome, len(steps))
	for i, plan := range steps {
		var err error
		if outcomes[i], err = plan(p); err != nil {
			return nil, operationError(i, len(steps), err)
		}
	}
	return outcomes, nil
}

// apply proposes the transaction; it is done unless a precondition failed.
func (s *Service) apply(ctx context.Context, p *plan, outcomes []Outcome) (bool, error) {
	p.tx.Id = make([]byte, 16)
	if _, err := rand.Read(p.tx.Id); err != nil {
		return false, fmt.Errorf("draw transaction id: %w", err)
	}
	result, err := s.replica.Apply(ctx, p.tx)
	if err != nil {
		return false, unsettled(err)
	}
	if result.FailedOperation >= 0 {
		return false, nil
	}
	for i := range outcomes {
		if op := outcomes[i].operation; op >= 0 && !outcomes[i].Gone && op < len(result.Revisions) {
			outcomes[i].Object.Revision = result.Revisions[op]
		}
	}
	return true, nil
}

// operationError says which operation of a transaction refused.
func operationError(i, of int, err error) error {
	status := apierrors.APIStatus(nil)
	if of == 1 || !errors.As(err, &status) {
		return err
	}
	s := status.Status()
	s.Message = fmt.Sprintf("operation %d: %s", i, s.Message)
	return &apierrors.StatusError{ErrStatus: s}
}
