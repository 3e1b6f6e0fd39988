package objects

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// actStep plans an action on an object by a subresource that is created.
func (s *Service) actStep(ctx context.Context, t Target, action registry.Object) (step, error) {
	sub, ok := t.Kind.Subresource(t.Subresource)
	if ok && sub.Evicts {
		return s.evictStep(ctx, t, action)
	}
	if !ok || sub.Apply == nil {
		return nil, apierrors.NewMethodNotSupported(t.Kind.GroupResource(), "create")
	}
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return nil, err
	}
	return func(p *plan) (Outcome, error) {
		was, obj, err := p.load(t)
		if err != nil {
			return Outcome{}, err
		}
		if uid := action.GetUID(); uid != "" && uid != obj.GetUID() {
			return Outcome{}, conflict(t, fmt.Errorf(uidMismatch, uid, obj.GetUID()))
		}
		if err := s.authorizeChange(ctx, "create", t, obj, action); err != nil {
			return Outcome{}, err
		}
		if err := sub.Apply(obj, action); err != nil {
			return Outcome{}, actionRefused(t, err)
		}
		return p.store(t, was, nil, obj)
	}, nil
}

// actionRefused keeps the kind's own API error, and makes a conflict of any other.
func actionRefused(t Target, err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return conflict(t, err)
}
