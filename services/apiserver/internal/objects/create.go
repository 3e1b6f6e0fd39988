package objects

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// namespaces is the resource that all namespaced objects depend on.
const namespaces = "namespaces"

// Lengths of generated names.
const (
	generatedSuffix  = 5
	generatedPrefix  = 63 - generatedSuffix
	generateAttempts = 8
)

// Create stores a new object, or acts on a subresource that is created
// ("binding"); then t names the object acted on. obj is not modified.
func (s *Service) Create(ctx context.Context, t Target, obj registry.Object, dryRun bool) (Stored, error) {
	if answer, ok := s.answerer(t); ok {
		return s.answer(ctx, t, obj, answer)
	}
	st, err := s.createStep(ctx, t, obj, nil)
	if err != nil {
		return Stored{}, err
	}
	return first(s.commit(ctx, dryRun, st))
}

func first(outcomes []Outcome, err error) (Stored, error) {
	if err != nil {
		return Stored{}, err
	}
	return outcomes[0].Object, nil
}

func (s *Service) createStep(ctx context.Context, t Target, obj registry.Object, raw []byte) (step, error) {
	if t.Subresource != "" {
		return s.actStep(ctx, t, obj)
	}
	if err := matchNamespace(&t, obj); err != nil {
		return nil, err
	}
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return nil, err
	}
	if a := t.Kind.Acts; a != nil {
		return s.actStep(ctx, Target{Kind: a.Kind, Namespace: t.Namespace, Name: obj.GetName(), Subresource: a.Subresource}, obj)
	}
	if _, ok := s.answerer(t); ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s are not stored, and so have no part in a transaction", t.Kind.Resource))
	}
	if obj.GetResourceVersion() != "" {
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	uid, now := uuid.NewUUID(), s.now()
	from, seen := newSent(t, obj, raw), t.Kind
	return seenAs(t.Kind, func(p *plan) (Outcome, error) {
		return s.planNew(ctx, p, from, seen, uid, now)
	}), nil
}

// planNew plans the creation of what was sent, as the kind that was asked for.
func (s *Service) planNew(ctx context.Context, p *plan, from *sent, seen *registry.Kind, uid types.UID, now time.Time) (Outcome, error) {
	fresh, err := from.take()
	if err != nil {
		return Outcome{}, err
	}
	t := from.target.stored()
	prepareNew(t.Kind, fresh, uid, now)
	s.fields.Update(seen, "", nil, fresh, managerOf(ctx), p.now)
	dropLargeFields(fresh)
	addFinalizers(t.Kind, fresh)
	if err := p.chooseName(&t, fresh); err != nil {
		return Outcome{}, err
	}
	if err := s.authorizeChange(ctx, "create", t, nil, fresh); err != nil {
		return Outcome{}, err
	}
	if err := from.target.checkNew(fresh); err != nil {
		return Outcome{}, err
	}
	return s.planCreate(ctx, p, t, fresh)
}

func (s *Service) planCreate(ctx context.Context, p *plan, t Target, obj registry.Object) (Outcome, error) {
	k := t.Kind
	if err := p.requireNamespace(t); err != nil {
		return Outcome{}, err
	}
	admitted, err := s.admit(ctx, p, admission.Create, t, obj, nil)
	if err != nil {
		return Outcome{}, err
	}
	prepareCreate(k, obj, p.now)
	if err := requested(ctx, k, obj); err != nil {
		return Outcome{}, err
	}
	if err := s.authorizeNeeds(ctx, t, nil, obj); err != nil {
		return Outcome{}, err
	}
	if err := p.allocate(t, obj, nil); err != nil {
		return Outcome{}, err
	}
	errs := k.ValidateMeta(obj)
	if k.Validate != nil {
		errs = append(errs, k.Validate(obj)...)
	}
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(obj)...)
	}
	if len(errs) > 0 {
		return Outcome{}, invalid(k, obj.GetName(), errs)
	}
	if err := admitted.check(); err != nil {
		return Outcome{}, err
	}
	if err := p.charge(t, nil, nil, obj); err != nil {
		return Outcome{}, err
	}
	if _, exists := p.get(t.key()); exists && !p.provided.has(t.key()) {
		return Outcome{}, apierrors.NewAlreadyExists(k.GroupResource(), t.Name)
	}
	if err := p.claim(t, obj, nil); err != nil {
		return Outcome{}, err
	}
	value, err := encode(k, obj)
	if err != nil {
		return Outcome{}, err
	}
	if p.removed(t.key()) {
		return Outcome{}, apierrors.NewBadRequest(fmt.Sprintf("%s %q is deleted and created again in one transaction; update it instead", k.Resource, t.Name))
	}
	op, err := p.create(t.key(), p.put(k, obj, value))
	if err == nil {
		err = s.accompany(p, t)
	}
	return Outcome{Object: storedValue(k, value, 0), Effect: Created, operation: op}, err
}

// encode makes the stored form: no resourceVersion, no type.
func encode(k *registry.Kind, obj registry.Object) ([]byte, error) {
	obj.SetResourceVersion("")
	value, err := obj.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %s %q: %w", k.Resource, obj.GetName(), err)
	}
	return value, nil
}
