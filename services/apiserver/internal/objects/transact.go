package objects

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// largestTransaction is how many operations one transaction may have.
const largestTransaction = 1000

// Change is one operation of a transaction; exactly one of Create, Update,
// Patch and Delete is set.
type Change struct {
	Target Target
	Create registry.Object
	Update registry.Object
	// Raw is what Create or Update was decoded from, where that is at hand: then the
	// object need not be copied, and is of no use to the caller any more.
	Raw    []byte
	Patch  *Patch
	Delete *metav1.DeleteOptions
	// Manager of the fields that Create, Update or Patch sets; empty is that of the
	// context.
	Manager string
	// DryRun tells what would be stored, and stores nothing.
	DryRun bool
}

// Transact carries out all changes or none; each sees what those before it do. When
// one of several is refused the error is an OperationError.
func (s *Service) Transact(ctx context.Context, changes []Change, dryRun bool) ([]Outcome, error) {
	if len(changes) == 0 || len(changes) > largestTransaction {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a transaction has 1 to %d operations, got %d", largestTransaction, len(changes)))
	}
	steps := make([]step, len(changes))
	for i, c := range changes {
		var err error
		if steps[i], err = s.changeStep(ctx, c); err != nil {
			return nil, AtOperation(i, len(changes), err)
		}
	}
	return s.commit(ctx, dryRun, steps...)
}

func (s *Service) changeStep(ctx context.Context, c Change) (step, error) {
	if c.Manager != "" {
		ctx = WithManager(ctx, c.Manager)
	}
	switch {
	case c.Create != nil:
		return s.createStep(ctx, c.Target, c.Create, c.Raw)
	case c.Update != nil:
		return s.updateStep(ctx, c.Target, c.Update, c.Raw)
	case c.Patch != nil:
		return s.patchStep(ctx, c.Target, *c.Patch)
	case c.Delete != nil:
		return s.deleteStep(ctx, c.Target, *c.Delete)
	}
	return nil, apierrors.NewBadRequest("the operation is empty")
}
