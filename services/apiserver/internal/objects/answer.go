package objects

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Answerer completes an object that is not stored (a review, or what a subresource
// makes: a token), which was defaulted and validated as far as the kind does that, and
// which it may modify. t is what the request is about. It may block until ctx ends.
type Answerer func(ctx context.Context, t Target, obj registry.Object) (registry.Object, error)

// answerer returns what answers a creation of the target.
func (s *Service) answerer(t Target) (Answerer, bool) {
	if len(s.answers) == 0 || t.Subresource == "" && len(t.Kind.Verbs) > 1 {
		return nil, false
	}
	key := t.Kind.StoreResource()
	if t.Subresource != "" {
		key += "/" + t.Subresource
	}
	answer, ok := s.answers[key]
	return answer, ok
}

// answererOf returns what answers the change, if it is none to what is stored.
func (s *Service) answererOf(c Change) (Answerer, bool) {
	if c.Create == nil {
		return nil, false
	}
	return s.answerer(c.Target)
}

// answer is Create for what is not stored.
func (s *Service) answer(ctx context.Context, t Target, obj registry.Object, answer Answerer) (Stored, error) {
	if t.Kind.Namespaced && t.Subresource == "" {
		if err := matchNamespace(&t, obj); err != nil {
			return Stored{}, err
		}
	}
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return Stored{}, err
	}
	obj = obj.DeepCopyObject().(registry.Object)
	if err := s.authorizeChange(ctx, "create", t, nil, obj); err != nil {
		return Stored{}, err
	}
	k := t.Kind
	if t.Subresource == "" {
		if err := s.prepareAnswer(k, obj); err != nil {
			return Stored{}, err
		}
	}
	obj, err := answer(ctx, t, obj)
	if err != nil {
		return Stored{}, err
	}
	if sub, ok := k.Subresource(t.Subresource); ok {
		return encodeSubresource(sub, obj, 0)
	}
	value, err := encode(k, obj)
	return storedValue(k, value, 0), err
}

func (s *Service) prepareAnswer(k *registry.Kind, obj registry.Object) error {
	if k.Default != nil {
		k.Default(obj)
	}
	k.PrepareCreate(obj, s.now())
	var errs field.ErrorList
	if k.Validate != nil {
		errs = k.Validate(obj)
	}
	if len(errs) > 0 {
		return invalid(k, obj.GetName(), errs)
	}
	return nil
}
