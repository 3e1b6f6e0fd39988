package objects

import (
	"bytes"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/fieldmanager"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const uidMismatch = "Precondition failed: UID in precondition: %v, UID in object meta: %v"

// Update replaces an object, its status or another subresource of it. A
// resourceVersion in obj makes it conditional. obj is not modified.
func (s *Service) Update(ctx context.Context, t Target, obj registry.Object, dryRun bool) (Stored, error) {
	stored, _, err := s.Put(ctx, t, obj, dryRun)
	return stored, err
}

// Put is Update, and tells whether it made the object: an update does where there is
// none, of a kind that says so.
func (s *Service) Put(ctx context.Context, t Target, obj registry.Object, dryRun bool) (Stored, bool, error) {
	st, err := s.updateStep(ctx, t, obj, nil)
	if err != nil {
		return Stored{}, false, err
	}
	outcomes, err := s.commit(ctx, dryRun, st)
	if err != nil {
		return Stored{}, false, err
	}
	stored, err := through(t, outcomes[0].Object)
	return stored, outcomes[0].Effect == Created, err
}

// through makes an object that was changed through a subresource that
// subresource's object.
func through(t Target, stored Stored) (Stored, error) {
	if sub, ok := t.Kind.Subresource(t.Subresource); ok && sub.Get != nil && sub.NewObject != nil && stored.newObject != nil {
		return subresourceOf(t, stored)
	}
	return stored, nil
}

func (s *Service) updateStep(ctx context.Context, t Target, obj registry.Object, raw []byte) (step, error) {
	t, err := matchURL(t, obj)
	if err != nil {
		return nil, err
	}
	if err := s.authorize(ctx, "update", t, nil); err != nil {
		return nil, err
	}
	from, makes, uid := newSent(t, obj, raw), t.makes(obj), types.UID("")
	if makes {
		uid = uuid.NewUUID()
	}
	return seenAs(t.Kind, func(p *plan) (Outcome, error) {
		if makes {
			if _, exists := p.get(t.key()); !exists {
				if err := s.authorize(ctx, "create", t, nil); err != nil {
					return Outcome{}, err
				}
				return s.planNew(ctx, p, from, t.Kind, uid, p.now)
			}
		}
		return s.planUpdate(ctx, p, from.target.stored(), change{verb: "update", seen: from.target.Kind, make: func(old registry.Object) (registry.Object, error) {
			obj, err := from.take()
			if err != nil {
				return nil, err
			}
			return obj, from.target.checkChanged(obj, old)
		}})
	}), nil
}

// makes tells whether an update with the object makes it where there is none.
func (t Target) makes(obj registry.Object) bool {
	return t.stored().Kind.CreateOnUpdate && t.Subresource == "" && obj.GetResourceVersion() == "" && obj.GetUID() == ""
}

// matchURL makes the names of the request and the object agree. It returns the
// target with them.
func matchURL(t Target, obj registry.Object) (Target, error) {
	if t.Name == "" {
		t.Name = obj.GetName()
	}
	if obj.GetName() == "" && t.Subresource != "" {
		obj.SetName(t.Name)
	}
	if obj.GetName() != t.Name {
		return t, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), t.Name))
	}
	if !t.Kind.Namespaced {
		return t, nil
	}
	if obj.GetNamespace() == "" {
		obj.SetNamespace(t.Namespace)
	}
	if t.Namespace == "" {
		t.Namespace = obj.GetNamespace()
	}
	if obj.GetNamespace() != t.Namespace {
		return t, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return t, nil
}

// planUpdate plans the change of one object from what it is to what the change makes
// of it.
func (s *Service) planUpdate(ctx context.Context, p *plan, t Target, c change) (Outcome, error) {
	was, old, err := p.load(t)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.authorizeChange(ctx, c.verb, t, old, nil); err != nil {
		return Outcome{}, err
	}
	obj, err := s.changed(ctx, p, t, old, c)
	if err != nil {
		return Outcome{}, err
	}
	if rv := obj.GetResourceVersion(); rv != "" && rv != "0" && rv != old.GetResourceVersion() {
		return Outcome{}, conflict(t, errModified)
	}
	if err := requireVersion(t, obj); err != nil {
		return Outcome{}, err
	}
	if uid := obj.GetUID(); uid != "" && uid != old.GetUID() {
		return Outcome{}, c.otherUID(t, uid, old.GetUID())
	}
	keepServerFields(obj, old)
	if err := s.authorizeChange(ctx, c.verb, t, old, obj); err != nil {
		return Outcome{}, err
	}
	if t.Kind.Default != nil {
		t.Kind.Default(obj)
	}
	s.track(ctx, p, t, c, obj, old)
	if err := s.authorizeNeeds(ctx, t, old, obj); err != nil {
		return Outcome{}, err
	}
	if err := s.prepareUpdate(ctx, p, t, obj, old); err != nil {
		return Outcome{}, err
	}
	if err := p.claim(t, obj, old); err != nil {
		return Outcome{}, err
	}
	return p.store(t, was, old, obj)
}

// requireVersion refuses an update that names no version, of a kind that asks for it.
func requireVersion(t Target, obj registry.Object) error {
	if rv := obj.GetResourceVersion(); !t.Kind.Versioned || rv != "" && rv != "0" {
		return nil
	}
	// Kubernetes names the resource here, not the kind.
	named := schema.GroupKind{Group: t.Kind.GVK.Group, Kind: t.Kind.Resource}
	return apierrors.NewInvalid(named, t.Name, field.ErrorList{
		field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update")})
}

// changed applies the change to the object, through its subresource if there is one.
func (s *Service) changed(ctx context.Context, p *plan, t Target, old registry.Object, c change) (registry.Object, error) {
	if !t.throughView() {
		return c.make(old)
	}
	sub, ok := t.Kind.Subresource(t.Subresource)
	if !ok || sub.Apply == nil || sub.Get == nil {
		return nil, apierrors.NewMethodNotSupported(t.Kind.GroupResource(), "update")
	}
	view, err := sub.Get(old)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s %q: %w", t.Subresource, t.Kind.Resource, t.Name, err)
	}
	view.SetResourceVersion(old.GetResourceVersion())
	fields := fieldmanager.NewScale(t.Kind, sub, old)
	if err := fields.Show(view); err != nil {
		return nil, err
	}
	before := view.DeepCopyObject().(registry.Object)
	if view, err = c.make(view); err != nil {
		return nil, err
	}
	if !c.managed {
		s.fields.Update(c.seen, t.Subresource, before, view, managerOf(ctx), p.now)
	}
	obj := old.DeepCopyObject().(registry.Object)
	if err := sub.Apply(obj, view); err != nil {
		return nil, actionRefused(t, err)
	}
	obj.SetResourceVersion(view.GetResourceVersion())
	return obj, fields.Take(obj, view)
}

// load returns what t names, encoded and decoded.
func (p *plan) load(t Target) (Stored, registry.Object, error) {
	was, err := p.find(t)
	if err != nil {
		return Stored{}, nil, err
	}
	obj, err := was.Decode()
	return was, obj, err
}

func (p *plan) find(t Target) (Stored, error) {
	e, ok := p.get(t.key())
	if !ok {
		return Stored{}, notFound(t)
	}
	return storedEntry(t.Kind, e), nil
}

// store plans the replacement of what was by obj. Nothing is planned when they are
// the same, and an object whose deletion waited only for this is removed. old is was,
// decoded and unchanged; nil where there is no such thing.
func (p *plan) store(t Target, was Stored, old, obj registry.Object) (Outcome, error) {
	value, err := encode(t.Kind, obj)
	if err != nil {
		return Outcome{}, err
	}
	if deletable(t.Kind, obj) {
		return p.planRemove(t, was, obj, value)
	}
	if bytes.Equal(value, was.Value) || len(value) == len(was.Value) && onlyLater(t.Kind, obj, value, was) {
		p.check(was.entry)
		return Outcome{Object: was, operation: p.operationOn(t.key())}, nil
	}
	if err := p.charge(t, &was, old, obj); err != nil {
		return Outcome{}, err
	}
	op, err := p.replace(was.entry, p.put(t.Kind, obj, value))
	return Outcome{Object: storedValue(t.Kind, value, was.Revision), Effect: Updated, operation: op}, err
}

// planRemove plans that the object goes; value is what it was last.
func (p *plan) planRemove(t Target, was Stored, obj registry.Object, value []byte) (Outcome, error) {
	if err := p.claim(t, nil, obj); err != nil {
		return Outcome{}, err
	}
	if err := p.charge(t, &was, nil, nil); err != nil {
		return Outcome{}, err
	}
	op, err := p.remove(was.entry)
	return Outcome{Object: storedValue(t.Kind, value, was.Revision), Gone: true, Effect: Deleted, operation: op}, err
}
