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
// change (name, namespace, uid, creation time) included.
func (k *Kind) ValidateMetaUpdate(obj, old Object) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessorUpdate(obj, old, field.NewPath("metadata"))
}

func (k *Kind) nameFunc() apivalidation.ValidateNameFunc {
	if k.ValidateName != nil {
		return k.ValidateName
	}
	return apivalidation.NameIsDNSSubdomain
}
