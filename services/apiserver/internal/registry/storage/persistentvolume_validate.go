package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
	"github.com/musterhq/muster/services/apiserver/internal/registry/volume"
)

func validatePersistentVolume(obj *corev1.PersistentVolume) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := validateAccessModes(spec.AccessModes, "", path.Child("accessModes"))
	errs = append(errs, validateVolumeCapacity(spec.Capacity, path.Child("capacity"))...)
	if policy := spec.PersistentVolumeReclaimPolicy; policy != "" {
		errs = append(errs, check.Choice(path.Child("persistentVolumeReclaimPolicy"), policy,
			corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	}
	placed, placeErrs := validateVolumePlace(spec.NodeAffinity, path.Child("nodeAffinity"))
	errs = append(errs, placeErrs...)
	errs = append(errs, volume.ValidatePersistent(&spec.PersistentVolumeSource, path)...)
	if spec.ISCSI != nil && spec.ISCSI.InitiatorName != nil && len(obj.Name+":"+spec.ISCSI.TargetPortal) > 64 {
		errs = append(errs, field.Invalid(path.Child("iscsi", "targetportal"), spec.ISCSI.TargetPortal,
			"Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."))
	}
	if spec.Local != nil && !placed {
		errs = append(errs, field.Required(field.NewPath("metadata", "annotations"), "Local volume requires node affinity"))
	}
	if spec.HostPath != nil && clean(spec.HostPath.Path) == "/" && spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(path.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	errs = append(errs, validateClassName(spec.StorageClassName, path.Child("storageClassName"))...)
	errs = append(errs, validateVolumeMode(spec.VolumeMode, path.Child("volumeMode"))...)
	if class := spec.VolumeAttributesClassName; class != nil {
		p := path.Child("volumeAttributesClassName")
		if *class == "" {
			errs = append(errs, field.Required(p, "an empty string is disallowed"))
		}
		errs = append(errs, validateClassName(*class, p)...)
		if spec.CSI == nil {
			errs = append(errs, field.Required(path.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	return errs
}

func clean(p string) string { return "/" + strings.Trim(p, "/.") }

func validateVolumeCapacity(capacity corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(capacity) == 0 {
		errs = append(errs, field.Required(path, ""))
	}
	if _, ok := capacity[corev1.ResourceStorage]; !ok || len(capacity) > 1 {
		errs = append(errs, field.NotSupported(path, capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range slices.Sorted(maps.Keys(capacity)) {
		p := path.Key(string(name))
		errs = append(errs, resourcelist.ValidateBasic(corev1.ResourceList{name: capacity[name]}, path)...)
		errs = append(errs, validatePositive(capacity[name], p)...)
	}
	return errs
}

// validateVolumePlace also tells whether a volume says which nodes it is on.
func validateVolumePlace(a *corev1.VolumeNodeAffinity, path *field.Path) (bool, field.ErrorList) {
	if a == nil {
		return false, nil
	}
	if a.Required == nil {
		return false, field.ErrorList{field.Required(path.Child("required"), "must specify required node constraints")}
	}
	return true, podspec.ValidateNodeSelector(a.Required, path.Child("required"))
}

func validatePersistentVolumeUpdate(obj, old *corev1.PersistentVolume) field.ErrorList {
	var errs field.ErrorList
	before := old.Spec.PersistentVolumeSource
	if csi, was := obj.Spec.CSI, before.CSI; csi != nil && was != nil { // Secrets to grow a volume by may be named later.
		changed := was.DeepCopy()
		orPointerTo(&changed.ControllerExpandSecretRef, csi.ControllerExpandSecretRef)
		orPointerTo(&changed.NodeExpandSecretRef, csi.NodeExpandSecretRef)
		before.CSI = changed
	}
	if !check.Equal(obj.Spec.PersistentVolumeSource, before) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "persistentvolumesource"),
			fmt.Sprintf("spec.persistentvolumesource is immutable after creation\n%v", diff.Diff(before, obj.Spec.PersistentVolumeSource))))
	}
	errs = append(errs, apivalidation.ValidateImmutableField(obj.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if old.Spec.NodeAffinity != nil {
		errs = append(errs, apivalidation.ValidateImmutableField(obj.Spec.NodeAffinity, old.Spec.NodeAffinity, field.NewPath("nodeAffinity"))...)
	}
	return errs
}

func orPointerTo[T any](field **T, value *T) {
	if *field == nil {
		*field = value
	}
}
