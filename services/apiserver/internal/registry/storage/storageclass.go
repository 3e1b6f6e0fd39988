package storage

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// Annotations that make a class the default one.
const (
	defaultClassAnnotation     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultClassAnnotation = "storageclass.beta.kubernetes.io/is-default-class"
)

// StorageClass defines classes of volumes.
func StorageClass() *registry.Kind {
	doc := storagev1.StorageClass{}.SwaggerDoc()
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.StorageClassList{}, registry.Definition[*storagev1.StorageClass]{
		ShortNames: []string{"sc"},

		Default: func(obj *storagev1.StorageClass) {
			registry.OrDefault(&obj.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			registry.OrDefault(&obj.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		},
		Validate: validateStorageClass,
		ValidateUpdate: func(obj, old *storagev1.StorageClass) field.ErrorList {
			errs := check.Frozen("parameters", obj.Parameters, old.Parameters)
			errs = append(errs, check.Frozen("provisioner", obj.Provisioner, old.Provisioner)...)
			errs = append(errs, check.Frozen("reclaimPolicy", obj.ReclaimPolicy, old.ReclaimPolicy)...)
			return append(errs, apivalidation.ValidateImmutableField(obj.VolumeBindingMode, old.VolumeBindingMode, field.NewPath("volumeBindingMode"))...)
		},

		NoNameColumn: true,
		Columns: []registry.Column{
			classNameColumn(defaultClassAnnotation, betaDefaultClassAnnotation),
			registry.ColumnOf("Provisioner", "string", doc["provisioner"], func(obj *storagev1.StorageClass) any { return obj.Provisioner }),
			registry.ColumnOf("ReclaimPolicy", "string", doc["reclaimPolicy"], func(obj *storagev1.StorageClass) any {
				return string(ptr.Deref(obj.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete))
			}),
			registry.ColumnOf("VolumeBindingMode", "string", doc["volumeBindingMode"], func(obj *storagev1.StorageClass) any {
				return string(ptr.Deref(obj.VolumeBindingMode, storagev1.VolumeBindingImmediate))
			}),
			registry.ColumnOf("AllowVolumeExpansion", "string", doc["allowVolumeExpansion"], func(obj *storagev1.StorageClass) any {
				return ptr.Deref(obj.AllowVolumeExpansion, false)
			}),
			registry.Age(),
		},
	})
}

// classNameColumn is the name, and whether one of the annotations makes this class
// the default one.
func classNameColumn(annotations ...string) registry.Column {
	return registry.Column{
		Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"],
		Value: func(obj registry.Object, _ time.Time) any {
			for _, a := range annotations {
				if obj.GetAnnotations()[a] == "true" {
					return obj.GetName() + " (default)"
				}
			}
			return obj.GetName()
		},
	}
}

func validateStorageClass(obj *storagev1.StorageClass) field.ErrorList {
	errs := validateProvisioner(obj.Provisioner, field.NewPath("provisioner"))
	errs = append(errs, validateParameters(obj.Parameters, field.NewPath("parameters"))...)
	if p := ptr.Deref(obj.ReclaimPolicy, ""); p != "" {
		errs = append(errs, check.Among(field.NewPath("reclaimPolicy"), p, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	mode := field.NewPath("volumeBindingMode")
	if errs = append(errs, check.Present(mode, obj.VolumeBindingMode)...); obj.VolumeBindingMode != nil {
		errs = append(errs, check.Among(mode, *obj.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
	}
	return append(errs, validateTopologies(obj.AllowedTopologies, field.NewPath("allowedTopologies"))...)
}

func validateProvisioner(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return check.Invalid(path, strings.ToLower(name), content.IsLabelKey(strings.ToLower(name)))
}

// Bounds of what a driver is handed.
const (
	mostParameters    = 512
	largestParameters = 256 << 10 // bytes, keys and values
)

func validateParameters(parameters map[string]string, path *field.Path) field.ErrorList {
	if len(parameters) > mostParameters {
		return field.ErrorList{field.TooLong(path, "" /* unused */, mostParameters)}
	}
	var errs field.ErrorList
	size := 0
	for key, value := range parameters {
		if key == "" {
			errs = append(errs, field.Invalid(path, key, "field can not be empty."))
		}
		size += len(key) + len(value)
	}
	if size > largestParameters {
		errs = append(errs, field.TooLong(path, "" /* unused */, largestParameters))
	}
	return errs
}

// VolumeAttributesClass defines classes of what may change of a volume.
func VolumeAttributesClass() *registry.Kind {
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.VolumeAttributesClassList{}, registry.Definition[*storagev1.VolumeAttributesClass]{
		ShortNames: []string{"vac"},

		Validate: func(obj *storagev1.VolumeAttributesClass) field.ErrorList {
			path := field.NewPath("parameters")
			errs := validateProvisioner(obj.DriverName, field.NewPath("driverName"))
			errs = append(errs, validateParameters(obj.Parameters, path)...)
			if len(obj.Parameters) == 0 {
				errs = append(errs, field.Required(path, "must contain at least one key/value pair"))
			}
			return errs
		},
		ValidateUpdate: func(obj, old *storagev1.VolumeAttributesClass) field.ErrorList {
			return append(check.Frozen("driverName", obj.DriverName, old.DriverName), check.Frozen("parameters", obj.Parameters, old.Parameters)...)
		},

		NoNameColumn: true,
		Columns: []registry.Column{
			classNameColumn("volumeattributesclass.alpha.kubernetes.io/is-default-class"),
			registry.ColumnOf("DriverName", "string", storagev1.VolumeAttributesClass{}.SwaggerDoc()["driverName"], func(obj *storagev1.VolumeAttributesClass) any { return obj.DriverName }),
			registry.Age(),
		},
	})
}
