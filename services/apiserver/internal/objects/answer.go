package objects

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Answerer completes an object of a kind that is not stored (a review), which was
// defaulted and validated, and which it may modify. It may block until ctx ends.
type Answerer func(ctx context.Context, obj registry.Object) (registry.Object, error)

// answer is Create for what is not stored.
func (s *Service) answer(ctx context.Context, t Target, obj registry.Object, answer Answerer) (Stored, error) {
	if t.Kind.Namespaced {
		if err := matchNamespace(&t, obj); err != nil {
			return Stored{}, err
		}
	}
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return Stored{}, err
	}
	k, obj := t.Kind, obj.DeepCopyObject().(registry.Object)
	if k.Default != nil {
		k.Default(obj)
	}
	k.PrepareCreate(obj, s.now())
	var errs field.ErrorList
	if k.Validate != nil {
		errs = k.Validate(obj)
	}
	if len(errs) > 0 {
		return Stored{}, invalid(k, obj.GetName(), errs)
	}
	obj, err := answer(ctx, obj)
	if err != nil {
		return Stored{}, err
	}
	value, err := encode(k, obj)
	return storedValue(k, value, 0), err
}
