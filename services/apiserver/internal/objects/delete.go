package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Delete removes an object, or marks it where it ends gracefully or finalizers
// have to act first.
func (s *Service) Delete(ctx context.Context, t Target, o metav1.DeleteOptions) (Outcome, error) {
	st, err := s.deleteStep(ctx, t, o)
	if err != nil {
		return Outcome{}, err
	}
	outcomes, err := s.commit(ctx, len(o.DryRun) > 0, st)
	if err != nil {
		return Outcome{}, err
	}
	return outcomes[0], nil
}

func (s *Service) deleteStep(ctx context.Context, t Target, o metav1.DeleteOptions) (step, error) {
	if err := s.authorize(ctx, "delete", t, nil); err != nil {
		return nil, err
	}
	if err := validateDelete(o); err != nil {
		return nil, err
	}
	if why := kept(t); why != "" {
		return nil, apierrors.NewForbidden(t.Kind.GroupResource(), t.Name, errors.New(why))
	}
	if o.GracePeriodSeconds != nil && *o.GracePeriodSeconds < 0 {
		o.GracePeriodSeconds = new(int64(1)) // as Kubernetes takes it
	}
	now, seen := s.now(), t.Kind
	t = t.stored()
	return seenAs(seen, func(p *plan) (Outcome, error) {
		was, obj, err := p.load(t)
		if err != nil {
			return Outcome{}, err
		}
		if err := s.authorizeChange(ctx, "delete", t, obj, nil); err != nil {
			return Outcome{}, err
		}
		if err := preconditions(t, obj, o.Preconditions); err != nil {
			return Outcome{}, err
		}
		return p.end(t, was, obj, o, now)
	}), nil
}

// end plans that an object goes, or that it is marked to end.
func (p *plan) end(t Target, was Stored, obj registry.Object, o metav1.DeleteOptions, now time.Time) (Outcome, error) {
	propagate(t.Kind, obj, o)
	if !markDeleted(t.Kind, obj, o.GracePeriodSeconds, now) {
		return p.store(t, was, nil, obj)
	}
	value, err := encode(t.Kind, obj)
	if err != nil {
		return Outcome{}, err
	}
	return p.planRemove(t, was, obj, value)
}

// kept says why the target may not be deleted, or "".
func kept(t Target) string {
	if t.Kind.Kept == nil {
		return ""
	}
	return t.Kind.Kept(t.Name)
}

func validateDelete(o metav1.DeleteOptions) error {
	if errs := validation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("DeleteOptions").GroupKind(), "", errs)
	}
	return nil
}

func preconditions(t Target, obj registry.Object, pre *metav1.Preconditions) error {
	if pre == nil {
		return nil
	}
	if pre.UID != nil && *pre.UID != obj.GetUID() {
		return mismatch(t, "UID", string(*pre.UID), string(obj.GetUID()), "deleted and then recreated")
	}
	if pre.ResourceVersion != nil && *pre.ResourceVersion != obj.GetResourceVersion() {
		return mismatch(t, "ResourceVersion", *pre.ResourceVersion, obj.GetResourceVersion(), "modified")
	}
	return nil
}

// mismatch refuses a deletion whose precondition does not hold. Kubernetes names the
// kind here, and not the resource.
func mismatch(t Target, what, asked, is, means string) error {
	named := schema.GroupResource{Group: t.Kind.GVK.Group, Resource: t.Kind.GVK.Kind}
	return apierrors.NewConflict(named, t.Name, fmt.Errorf("the %[1]s in the precondition (%[2]s) does not match the %[1]s in record (%[3]s). "+
		"The object might have been %[4]s", what, asked, is, means))
}

// propagate writes the policy for dependents into the finalizers, from which
// the garbage collector reads it.
func propagate(k *registry.Kind, obj registry.Object, o metav1.DeleteOptions) {
	policy := k.DefaultPropagation
	switch {
	case o.PropagationPolicy != nil && *o.PropagationPolicy != "":
		policy = *o.PropagationPolicy
	case o.OrphanDependents != nil && *o.OrphanDependents:
		policy = metav1.DeletePropagationOrphan
	case o.OrphanDependents != nil:
		policy = metav1.DeletePropagationBackground
	case slices.Contains(obj.GetFinalizers(), metav1.FinalizerOrphanDependents),
		slices.Contains(obj.GetFinalizers(), metav1.FinalizerDeleteDependents):
		return // An earlier deletion decided.
	}
	removeFinalizer(obj, metav1.FinalizerOrphanDependents)
	removeFinalizer(obj, metav1.FinalizerDeleteDependents)
	switch policy {
	case metav1.DeletePropagationOrphan:
		addFinalizer(obj, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		addFinalizer(obj, metav1.FinalizerDeleteDependents)
	}
}

// markDeleted sets when and how the object ends; it returns true when that is
// now. A deletion may be made shorter by another one, never longer.
func markDeleted(k *registry.Kind, obj registry.Object, requested *int64, now time.Time) bool {
	var grace int64
	if k.GracePeriod != nil {
		grace = k.GracePeriod(obj, requested)
	}
	if obj.GetDeletionTimestamp() == nil {
		if obj.GetGeneration() > 0 {
			obj.SetGeneration(obj.GetGeneration() + 1)
		}
		setDeletion(obj, now, grace)
	} else if left := obj.GetDeletionGracePeriodSeconds(); requested != nil && left != nil && grace < *left {
		setDeletion(obj, now, grace)
	}
	if k.PrepareDelete != nil {
		k.PrepareDelete(obj)
	}
	return deletable(k, obj)
}

func setDeletion(obj registry.Object, now time.Time, grace int64) {
	at := metav1.NewTime(now.UTC().Truncate(time.Second).Add(time.Duration(grace) * time.Second))
	obj.SetDeletionTimestamp(&at)
	obj.SetDeletionGracePeriodSeconds(&grace)
}

// deletable tells whether nothing keeps a deleted object any longer.
func deletable(k *registry.Kind, obj registry.Object) bool {
	if obj.GetDeletionTimestamp() == nil || len(obj.GetFinalizers()) > 0 {
		return false
	}
	if k.Held != nil && k.Held(obj) {
		return false
	}
	grace := obj.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

func addFinalizer(obj registry.Object, name string) {
	if !slices.Contains(obj.GetFinalizers(), name) {
		obj.SetFinalizers(append(obj.GetFinalizers(), name))
	}
}

func removeFinalizer(obj registry.Object, name string) {
	obj.SetFinalizers(slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == name }))
}
