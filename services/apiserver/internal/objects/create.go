package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/quota"
	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
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

// matchNamespace makes the namespaces of the request and the object agree.
func matchNamespace(t *Target, obj registry.Object) error {
	if !t.Kind.Namespaced {
		if obj.GetNamespace() != "" && t.Namespace == "" {
			obj.SetNamespace("") // Kubernetes clears it silently.
		}
		return nil
	}
	switch {
	case obj.GetNamespace() == "":
		obj.SetNamespace(t.Namespace)
	case t.Namespace == "":
		t.Namespace = obj.GetNamespace()
	case obj.GetNamespace() != t.Namespace:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	if t.Namespace == "" {
		return apierrors.NewBadRequest("an empty namespace may not be set during creation")
	}
	return nil
}

// prepareNew sets what only the server sets.
func prepareNew(k *registry.Kind, obj registry.Object, uid types.UID, now time.Time) {
	obj.SetUID(uid)
	obj.SetCreationTimestamp(metav1.NewTime(now.UTC().Truncate(time.Second)))
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	if k.Default != nil {
		k.Default(obj)
	}
}

// addFinalizers adds those of the kind. It comes behind the managed fields: who
// created the object does not own them.
func addFinalizers(k *registry.Kind, obj registry.Object) {
	for _, f := range k.Finalizers {
		addFinalizer(obj, f)
	}
}

// prepareCreate resets what a client may not set. It comes behind admission, whose
// changes it counts in (a pod's quality of service).
func prepareCreate(k *registry.Kind, obj registry.Object, now time.Time) {
	if k.PrepareCreate != nil {
		k.PrepareCreate(obj, now)
	}
}

// requested tells the kind who asks for a new object.
func requested(ctx context.Context, k *registry.Kind, obj registry.Object) error {
	if k.Requested == nil {
		return nil
	}
	user, _ := access.UserFrom(ctx)
	return k.Requested(obj, user)
}

// chooseName generates the name where the user gave only its beginning.
func (p *plan) chooseName(t *Target, obj registry.Object) error {
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		base := obj.GetGenerateName()
		if len(base) > generatedPrefix {
			base = base[:generatedPrefix]
		}
		for range generateAttempts {
			t.Name = base + utilrand.String(generatedSuffix)
			if _, taken := p.get(t.key()); !taken {
				break
			}
		}
		obj.SetName(t.Name)
	}
	t.Name = obj.GetName()
	return nil
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

// accompany plans what goes with the creation of an object.
func (s *Service) accompany(p *plan, t Target) error {
	switch t.Kind.StoreResource() {
	case namespaces:
		return s.furnish(p, t.Name)
	case quota.Resource:
		return p.fence(t.Namespace)
	}
	return nil
}

// requireNamespace checks, now and when the transaction is applied, that the
// namespace exists and is not on its way out.
func (p *plan) requireNamespace(t Target) error {
	if !t.Kind.Namespaced {
		return nil
	}
	key := state.Key{Resource: namespaces, Name: t.Namespace}
	e, ok := p.get(key)
	if !ok {
		return apierrors.NewNotFound(corev1.Resource(namespaces), t.Namespace)
	}
	meta, err := decodeMeta(e.Value())
	if err != nil {
		return fmt.Errorf("decode namespace %q: %w", t.Namespace, err)
	}
	if meta.DeletionTimestamp != nil {
		return terminating(t)
	}
	p.check(e)
	return nil
}

func terminating(t Target) error {
	err := apierrors.NewForbidden(t.Kind.GroupResource(), t.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", t.Namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace",
		Message: fmt.Sprintf("namespace %s is being terminated", t.Namespace),
	})
	return err
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
