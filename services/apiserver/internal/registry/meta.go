package registry

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateMeta checks the metadata of a new object: name, namespace, labels,
// annotations, owner references and finalizers.
func (k *Kind) ValidateMeta(obj Object) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessor(obj, k.Namespaced, k.nameFunc(), field.NewPath("metadata"))
}

// ValidateMetaUpdate checks the metadata of a changed object, what must not
// change (name, namespace, uid, creation time) included. Its labels, annotations
// and owners are taken to have passed ValidateMeta where nothing else changed,
// which is the rule and saves most of what an update costs.
func (k *Kind) ValidateMetaUpdate(obj, old Object) field.ErrorList {
	if keepsIdentity(obj, old) {
		return nil
	}
	return apivalidation.ValidateObjectMetaAccessorUpdate(obj, old, field.NewPath("metadata"))
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
