package objects

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

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

// keepServerFields carries over what no client may change, so that leaving it
// out is not a change.
func keepServerFields(obj, old registry.Object) {
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	obj.SetGeneration(old.GetGeneration())
	obj.SetGenerateName(old.GetGenerateName())
	obj.SetResourceVersion(old.GetResourceVersion()) // An update without one means whatever is there.
	obj.SetSelfLink("")
}

// prepareUpdate makes obj what is to be stored, and checks it.
func (s *Service) prepareUpdate(ctx context.Context, p *plan, t Target, obj, old registry.Object) error {
	admitted, err := s.admit(ctx, p, admission.Update, t, obj, old)
	if err != nil {
		return err
	}
	if err := p.prepareUpdate(t, obj, old); err != nil {
		return err
	}
	return admitted.check()
}

func (p *plan) prepareUpdate(t Target, obj, old registry.Object) error {
	k := t.Kind
	if t.Subresource == "status" {
		return prepareStatus(k, obj, old)
	}
	sub, ok := k.Subresource(t.Subresource)
	if ok && sub.Direct {
		return nil
	}
	prepare, validate := k.PrepareUpdate, k.ValidateUpdate
	if ok && sub.PrepareUpdate != nil {
		prepare, validate = sub.PrepareUpdate, sub.ValidateUpdate
	}
	if prepare != nil {
		prepare(obj, old)
	}
	if err := p.allocate(t, obj, old); err != nil {
		return err
	}
	errs := k.ValidateMetaUpdate(obj, old)
	if k.Validate != nil {
		errs = append(errs, k.Validate(obj)...)
	}
	if validate != nil {
		errs = append(errs, validate(obj, old)...)
	}
	if len(errs) > 0 {
		return invalid(k, obj.GetName(), errs)
	}
	return nil
}

func prepareStatus(k *registry.Kind, obj, old registry.Object) error {
	if k.PrepareStatusUpdate != nil {
		k.PrepareStatusUpdate(obj, old)
	}
	errs := k.ValidateMetaUpdate(obj, old)
	if k.ValidateStatusUpdate != nil {
		errs = append(errs, k.ValidateStatusUpdate(obj, old)...)
	}
	if len(errs) > 0 {
		return invalid(k, obj.GetName(), errs)
	}
	return nil
}
