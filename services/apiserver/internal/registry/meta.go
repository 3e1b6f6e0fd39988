package registry

import (
	"maps"
	"slices"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// ValidateMeta checks the metadata of a new object: name, namespace, labels,
// annotations, owner references and finalizers.
func (k *Kind) ValidateMeta(obj Object) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessor(obj, k.Namespaced, k.nameFunc(), field.NewPath("metadata"))
}

// ValidateMetaUpdate checks the metadata of a changed object: by ValidateMeta, and
// that nothing of it changed that must not (name, namespace, uid, creation time).
// What it has in common with old was checked when that was stored and is not looked
// at again: mostly that is all of it, and validating it a good part of an update.
func (k *Kind) ValidateMetaUpdate(obj, old Object) field.ErrorList {
	switch {
	case !keepsIdentity(obj, old):
		return append(k.ValidateMeta(obj), apivalidation.ValidateObjectMetaAccessorUpdate(obj, old, field.NewPath("metadata"))...)
	case !keepsRest(obj, old):
		return k.ValidateMeta(obj)
	}
	return nil
}

func (k *Kind) nameFunc() apivalidation.ValidateNameFunc {
	if k.ValidateName != nil {
		return k.ValidateName
	}
	return apivalidation.NameIsDNSSubdomain
}

// keepsIdentity tells whether an update leaves all alone that it must not change.
func keepsIdentity(obj, old Object) bool {
	created, before := obj.GetCreationTimestamp(), old.GetCreationTimestamp()
	return old.GetDeletionTimestamp() == nil && obj.GetDeletionTimestamp() == nil &&
		old.GetDeletionGracePeriodSeconds() == nil && obj.GetDeletionGracePeriodSeconds() == nil &&
		obj.GetResourceVersion() != "" && obj.GetGeneration() >= 0 && obj.GetGeneration() >= old.GetGeneration() &&
		obj.GetName() == old.GetName() && obj.GetNamespace() == old.GetNamespace() &&
		obj.GetUID() == old.GetUID() && created.Equal(&before)
}

// keepsRest tells whether an update leaves alone what it may change of the metadata.
func keepsRest(obj, old Object) bool {
	owners, before := obj.GetOwnerReferences(), old.GetOwnerReferences()
	return maps.Equal(obj.GetLabels(), old.GetLabels()) && maps.Equal(obj.GetAnnotations(), old.GetAnnotations()) &&
		slices.Equal(obj.GetFinalizers(), old.GetFinalizers()) && obj.GetGenerateName() == old.GetGenerateName() &&
		(len(owners) == 0 && len(before) == 0 || check.Equal(owners, before)) &&
		len(metavalidation.ValidateManagedFields(obj.GetManagedFields(), nil)) == 0
}
