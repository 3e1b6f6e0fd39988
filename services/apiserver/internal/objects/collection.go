package objects

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// collectionBatch is how many objects DeleteCollection removes in one transaction.
const collectionBatch = 500

// DeleteCollection deletes all objects that are selected and returns them as
// they were. It works in batches: an error leaves the later ones in place.
func (s *Service) DeleteCollection(ctx context.Context, t Target, lo ListOptions, o metav1.DeleteOptions) (Page, error) {
	sel, err := parseSelector(t.Kind, lo.LabelSelector, lo.FieldSelector)
	if err != nil {
		return Page{}, err
	}
	if err := s.authorizeSelected(ctx, "deletecollection", t, sel); err != nil {
		return Page{}, err
	}
	if err := validateDelete(o); err != nil {
		return Page{}, err // also when there is nothing to delete
	}
	page, err := s.List(ctx, t, lo)
	if err != nil {
		return Page{}, err
	}
	for from := 0; from < len(page.Items); from += collectionBatch {
		batch := page.Items[from:min(from+collectionBatch, len(page.Items))]
		if err := s.deleteBatch(ctx, t, batch, o); err != nil {
			return Page{}, err
		}
	}
	return page, nil
}

func (s *Service) deleteBatch(ctx context.Context, t Target, batch []Stored, o metav1.DeleteOptions) error {
	steps := make([]step, 0, len(batch))
	for _, item := range batch {
		one := t
		one.Namespace, one.Name = item.entry.Key.Namespace, item.entry.Key.Name
		meta, err := item.Meta()
		if err != nil {
			return err
		}
		st, err := s.deleteStep(ctx, one, withUID(o, meta.UID))
		if err != nil {
			return err
		}
		steps = append(steps, ignoreGone(st))
	}
	_, err := s.commit(ctx, len(o.DryRun) > 0, steps...)
	return err
}

// withUID deletes only the object that was listed, not a successor of its name.
func withUID(o metav1.DeleteOptions, uid types.UID) metav1.DeleteOptions {
	if o.Preconditions == nil {
		o.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	return o
}

// ignoreGone takes an object that somebody else deleted as deleted.
func ignoreGone(st step) step {
	return func(p *plan) (Outcome, error) {
		outcome, err := st(p)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return Outcome{Gone: true, operation: -1}, nil
		}
		return outcome, err
	}
}
