package registry

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
)

// Annotations that make a class the default one.
const (
	defaultClassAnnotation     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultClassAnnotation = "storageclass.beta.kubernetes.io/is-default-class"
)

func storageClassKind() *Kind {
	doc := storagev1.StorageClass{}.SwaggerDoc()
	return define(storagev1.SchemeGroupVersion, &storagev1.StorageClassList{}, definition[*storagev1.StorageClass]{
		ShortNames: []string{"sc"},

		Default: func(obj *storagev1.StorageClass) {
			orDefault(&obj.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			orDefault(&obj.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		},
		Validate: validateStorageClass,
		ValidateUpdate: func(obj, old *storagev1.StorageClass) field.ErrorList {
			errs := frozen("parameters", obj.Parameters, old.Parameters)
			errs = append(errs, frozen("provisioner", obj.Provisioner, old.Provisioner)...)
			errs = append(errs, frozen("reclaimPolicy", obj.ReclaimPolicy, old.ReclaimPolicy)...)
			return append(errs, apivalidation.ValidateImmutableField(obj.VolumeBindingMode, old.VolumeBindingMode, field.NewPath("volumeBindingMode"))...)
		},

		NoNameColumn: true,
		Columns: []Column{
			classNameColumn(defaultClassAnnotation, betaDefaultClassAnnotation),
			column("Provisioner", "string", doc["provisioner"], func(obj *storagev1.StorageClass) any { return obj.Provisioner }),
			column("ReclaimPolicy", "string", doc["reclaimPolicy"], func(obj *storagev1.StorageClass) any {
				return string(ptr.Deref(obj.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete))
			}),
			column("VolumeBindingMode", "string", doc["volumeBindingMode"], func(obj *storagev1.StorageClass) any {
				return string(ptr.Deref(obj.VolumeBindingMode, storagev1.VolumeBindingImmediate))
			}),
			column("AllowVolumeExpansion", "string", doc["allowVolumeExpansion"], func(obj *storagev1.StorageClass) any {
				return ptr.Deref(obj.AllowVolumeExpansion, false)
			}),
			ageColumn(),
		},
	})
}

// classNameColumn is the name, and whether one of the annotations makes this class
// the default one.
func classNameColumn(annotations ...string) Column {
	return Column{
		Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"],
		Value: func(obj Object, _ time.Time) any {
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
		errs = append(errs, among(field.NewPath("reclaimPolicy"), p, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	mode := field.NewPath("volumeBindingMode")
	if errs = append(errs, mustBeSet(mode, obj.VolumeBindingMode)...); obj.VolumeBindingMode != nil {
		errs = append(errs, among(mode, *obj.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
	}
	return append(errs, validateTopologies(obj.AllowedTopologies, field.NewPath("allowedTopologies"))...)
}

func validateProvisioner(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return invalid(path, strings.ToLower(name), content.IsLabelKey(strings.ToLower(name)))
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

func volumeAttributesClassKind() *Kind {
	return define(storagev1.SchemeGroupVersion, &storagev1.VolumeAttributesClassList{}, definition[*storagev1.VolumeAttributesClass]{
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
			return append(frozen("driverName", obj.DriverName, old.DriverName), frozen("parameters", obj.Parameters, old.Parameters)...)
		},

		NoNameColumn: true,
		Columns: []Column{
			classNameColumn("volumeattributesclass.alpha.kubernetes.io/is-default-class"),
			column("DriverName", "string", storagev1.VolumeAttributesClass{}.SwaggerDoc()["driverName"], func(obj *storagev1.VolumeAttributesClass) any { return obj.DriverName }),
			ageColumn(),
		},
	})
}
