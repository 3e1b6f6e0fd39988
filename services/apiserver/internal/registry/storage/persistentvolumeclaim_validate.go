package storage

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// ValidateClaimSpec checks what a claim asks for.
func ValidateClaimSpec(spec *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.Selector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(spec.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))...)
	}
	errs = append(errs, validateAccessModes(spec.AccessModes, "at least 1 access mode is required", path.Child("accessModes"))...)
	size := path.Child("resources").Key(string(corev1.ResourceStorage))
	if q, ok := spec.Resources.Requests[corev1.ResourceStorage]; ok {
		errs = append(errs, validatePositive(q, size)...)
	} else {
		errs = append(errs, field.Required(size, ""))
	}
	errs = append(errs, validateClassName(ptr.Deref(spec.StorageClassName, ""), path.Child("storageClassName"))...)
	errs = append(errs, validateVolumeMode(spec.VolumeMode, path.Child("volumeMode"))...)
	errs = append(errs, validateDataSources(spec, path)...)
	return append(errs, validateClassName(ptr.Deref(spec.VolumeAttributesClassName, ""), path.Child("volumeAttributesClassName"))...)
}

// validateAccessModes says missing where there is none.
func validateAccessModes(modes []corev1.PersistentVolumeAccessMode, missing string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(modes) == 0 {
		errs = append(errs, field.Required(path, missing))
	}
	known := []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	alone, others := false, false
	for _, mode := range modes {
		errs = append(errs, check.Choice(path, mode, known...)...)
		alone = alone || mode == corev1.ReadWriteOncePod
		others = others || mode != corev1.ReadWriteOncePod
	}
	if alone && others {
		errs = append(errs, field.Forbidden(path, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

func validatePositive(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() <= 0 {
		return field.ErrorList{field.Invalid(path, q.String(), "must be greater than zero")}
	}
	return nil
}

// validateClassName checks a reference to a class, where there is one.
func validateClassName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return nil
	}
	return check.Invalid(path, name, apivalidation.NameIsDNSSubdomain(name, false))
}

func validateVolumeMode(mode *corev1.PersistentVolumeMode, path *field.Path) field.ErrorList {
	if mode == nil {
		return nil
	}
	return check.Choice(path, *mode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
}

func validateDataSources(spec *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	source, ref := spec.DataSource, spec.DataSourceRef
	if source != nil {
		errs = append(errs, validateDataSource(source.APIGroup, source.Kind, source.Name, path.Child("dataSource"))...)
	}
	if ref == nil {
		return errs
	}
	errs = append(errs, validateDataSource(ref.APIGroup, ref.Kind, ref.Name, path.Child("dataSourceRef"))...)
	if namespace := ptr.Deref(ref.Namespace, ""); namespace != "" {
		errs = append(errs, check.Invalid(path.Child("dataSourceRef", "namespace"), namespace, validation.IsDNS1123Label(namespace))...)
		if source != nil {
			errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "may not be specified when dataSourceRef.namespace is specified"))
		}
		return errs
	}
	same := corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}
	if !check.Equal(source, &same) {
		errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "must match dataSourceRef"))
	}
	return errs
}

func validateDataSource(apiGroup *string, kind, name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	if kind == "" {
		errs = append(errs, field.Required(path.Child("kind"), ""))
	}
	group := ptr.Deref(apiGroup, "")
	if group == "" && kind != "PersistentVolumeClaim" {
		errs = append(errs, field.Invalid(path, kind, ""))
	}
	if group != "" {
		errs = append(errs, check.Invalid(path.Child("apiGroup"), group, validation.IsDNS1123Subdomain(group))...)
	}
	return errs
}

// validatePersistentVolumeClaimUpdate: what a claim asks for is what a quota was
// checked for, so it stays; but that a volume is bound to it, and that one that is
// bound may ask for more.
func validatePersistentVolumeClaimUpdate(obj, old *corev1.PersistentVolumeClaim) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	rest, before := obj.Spec.DeepCopy(), old.Spec.DeepCopy()
	if before.VolumeName == "" {
		before.VolumeName = rest.VolumeName
	}
	annotation, was := obj.Annotations[corev1.BetaStorageClassAnnotation], old.Annotations[corev1.BetaStorageClassAnnotation]
	switch class := ptr.Deref(rest.StorageClassName, ""); {
	case was != "" && annotation == "" && before.StorageClassName == nil && class == was:
		rest.StorageClassName = nil // The annotation became the field.
	case was == annotation:
		if was == "" && before.StorageClassName == nil && class != "" {
			before.StorageClassName = rest.StorageClassName // The cluster has a default now.
		}
	default:
		errs = append(errs, field.Invalid(field.NewPath("metadata", "annotations", corev1.BetaStorageClassAnnotation), annotation, apivalidation.FieldImmutableErrorMsg))
	}
	if obj.Status.Phase == corev1.ClaimBound {
		if rest.Resources.Requests != nil {
			rest.Resources.Requests[corev1.ResourceStorage] = before.Resources.Requests[corev1.ResourceStorage]
		}
		rest.VolumeAttributesClassName = before.VolumeAttributesClassName
	}
	if !check.Equal(rest, before) {
		errs = append(errs, field.Forbidden(spec, fmt.Sprintf(
			"spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n%v", diff.Diff(before, rest))))
	}
	size, sizeBefore := obj.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if size.Cmp(sizeBefore) < 0 && size.Cmp(old.Status.Capacity[corev1.ResourceStorage]) <= 0 {
		errs = append(errs, field.Forbidden(spec.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	errs = append(errs, apivalidation.ValidateImmutableField(obj.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if old.Spec.VolumeAttributesClassName != nil && obj.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(spec.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

func validatePersistentVolumeClaimStatus(obj, old *corev1.PersistentVolumeClaim) field.ErrorList {
	path := field.NewPath("status")
	var errs field.ErrorList
	if len(old.Spec.AccessModes) == 0 {
		errs = append(errs, field.Required(field.NewPath("Spec", "accessModes"), ""))
	}
	errs = append(errs, resourcelist.ValidateBasic(obj.Status.Capacity, path.Child("capacity"))...)
	errs = append(errs, resourcelist.ValidateBasic(obj.Status.AllocatedResources, path.Child("allocatedResources"))...)
	for i, c := range obj.Status.Conditions {
		if slices.ContainsFunc(obj.Status.Conditions[:i], func(o corev1.PersistentVolumeClaimCondition) bool { return o.Type == c.Type }) {
			errs = append(errs, field.Duplicate(path.Child("conditions").Index(i).Child("type"), c.Type))
		}
	}
	return errs
}
