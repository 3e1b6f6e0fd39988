package registry

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func csiStorageCapacityKind() *Kind {
	doc := storagev1.CSIStorageCapacity{}.SwaggerDoc()
	return define(storagev1.SchemeGroupVersion, &storagev1.CSIStorageCapacityList{}, definition[*storagev1.CSIStorageCapacity]{
		Namespaced: true, Versioned: true,

		Validate: func(obj *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := validateLabelSelector(obj.NodeTopology, field.NewPath("nodeTopology"))
			errs = append(errs, invalid(field.NewPath("storageClassName"), obj.StorageClassName, validation.IsDNS1123Subdomain(obj.StorageClassName))...)
			if obj.Capacity != nil {
				errs = append(errs, validateQuantity(*obj.Capacity, field.NewPath("capacity"))...)
			}
			return errs
		},
		ValidateUpdate: func(obj, old *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := apivalidation.ValidateImmutableField(obj.NodeTopology, old.NodeTopology, field.NewPath("nodeTopology"))
			return append(errs, apivalidation.ValidateImmutableField(obj.StorageClassName, old.StorageClassName, field.NewPath("storageClassName"))...)
		},

		Columns: []Column{
			column("StorageClassName", "string", doc["storageClassName"], func(obj *storagev1.CSIStorageCapacity) any { return obj.StorageClassName }),
			column("Capacity", "string", doc["capacity"], func(obj *storagev1.CSIStorageCapacity) any {
				if obj.Capacity == nil {
					return ""
				}
				return obj.Capacity.String()
			}),
		},
	})
}
