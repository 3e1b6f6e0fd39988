package objects

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// pendings is what the steps of a plan have made of keys so far, for the steps
// behind them to see.
type pendings map[state.Key]pending

type pending struct {
	operation int          // of the transaction
	entry     *state.Entry // as it will be; nil when it will be gone
}

// expect notes what an operation makes of a key, unless only one step is planned.
func (p *plan) expect(key state.Key, operation int, op *storev1.Operation) {
	if p.pending == nil {
		return
	}
	w := pending{operation: operation}
	if op.GetAction() == storev1.Action_ACTION_PUT {
		revision := op.GetRevision()
		if revision == 0 { // What is created has one, too, before it is changed.
			revision = p.view.Revision() + 1
		}
		w.entry = state.NewEntry(key, op.GetValue(), revision)
	}
	p.pending[key] = w
}

// get returns an entry as the steps before have left it.
func (p *plan) get(key state.Key) (*state.Entry, bool) {
	if w, ok := p.pending[key]; ok {
		return w.entry, w.entry != nil
	}
	return p.view.Get(key)
}

// removed says that a step before removed the entry.
func (p *plan) removed(key state.Key) bool {
	w, ok := p.pending[key]
	return ok && w.entry == nil
}

// operationOn returns the index of the operation that changes a key, -1 if none does.
func (p *plan) operationOn(key state.Key) int {
	if w, ok := p.pending[key]; ok {
		return w.operation
	}
	return -1
}

// amend makes the operation that changes a key do what op does after it. What it
// requires of the state stays; op was planned on what it leaves.
func (p *plan) amend(key state.Key, op *storev1.Operation) (int, error) {
	w, ok := p.pending[key]
	if !ok {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("%s %q is changed twice in one transaction", key.Resource, key.Name))
	}
	was := p.tx.Operations[w.operation]
	was.Action, was.Value, was.Index, was.ExpiresUnix = op.GetAction(), op.GetValue(), op.GetIndex(), op.GetExpiresUnix()
	if was.Action == storev1.Action_ACTION_DELETE && was.Precondition == storev1.Precondition_PRECONDITION_ABSENT {
		was.Action = storev1.Action_ACTION_UNSPECIFIED // It never was.
	}
	p.expect(key, w.operation, was)
	return w.operation, nil
}

// settle gives all outcomes of one operation the object as the last of them left it.
func settle(outcomes []Outcome) {
	last := make(map[int]int, len(outcomes))
	for i, o := range outcomes {
		if o.operation >= 0 {
			last[o.operation] = i
		}
	}
	for i := range outcomes {
		if j, ok := last[outcomes[i].operation]; ok && j != i {
			outcomes[i].Object, outcomes[i].Gone = outcomes[j].Object, outcomes[j].Gone
		}
	}
}
