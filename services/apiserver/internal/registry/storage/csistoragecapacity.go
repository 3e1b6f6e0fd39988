package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// CSIStorageCapacity defines how much room a driver has.
func CSIStorageCapacity() *registry.Kind {
	doc := storagev1.CSIStorageCapacity{}.SwaggerDoc()
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.CSIStorageCapacityList{}, registry.Definition[*storagev1.CSIStorageCapacity]{
		Namespaced: true, Versioned: true,

		Validate: func(obj *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := check.LabelSelector(obj.NodeTopology, field.NewPath("nodeTopology"))
			errs = append(errs, check.Invalid(field.NewPath("storageClassName"), obj.StorageClassName, validation.IsDNS1123Subdomain(obj.StorageClassName))...)
			if obj.Capacity != nil {
				errs = append(errs, resourcelist.ValidateQuantity(*obj.Capacity, field.NewPath("capacity"))...)
			}
			return errs
		},
		ValidateUpdate: func(obj, old *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := apivalidation.ValidateImmutableField(obj.NodeTopology, old.NodeTopology, field.NewPath("nodeTopology"))
			return append(errs, apivalidation.ValidateImmutableField(obj.StorageClassName, old.StorageClassName, field.NewPath("storageClassName"))...)
		},

		Columns: []registry.Column{
			registry.ColumnOf("StorageClassName", "string", doc["storageClassName"], func(obj *storagev1.CSIStorageCapacity) any { return obj.StorageClassName }),
			registry.ColumnOf("Capacity", "string", doc["capacity"], func(obj *storagev1.CSIStorageCapacity) any {
				if obj.Capacity == nil {
					return ""
				}
				return obj.Capacity.String()
			}),
		},
	})
}
