package registry

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func persistentVolumeClaimKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.PersistentVolumeClaimList{}, definition[*corev1.PersistentVolumeClaim]{
		ShortNames: []string{"pvc"}, Namespaced: true,
		Status: true,

		Default:       defaultPersistentVolumeClaim,
		PrepareCreate: preparePersistentVolumeClaim,
		PrepareUpdate: func(obj, _ *corev1.PersistentVolumeClaim) { sameDataSource(&obj.Spec) },

		Validate: func(obj *corev1.PersistentVolumeClaim) field.ErrorList {
			return validateClaimSpec(&obj.Spec, field.NewPath("spec"))
		},
		ValidateUpdate:       validatePersistentVolumeClaimUpdate,
		ValidateStatusUpdate: validatePersistentVolumeClaimStatus,
		Warnings:             persistentVolumeClaimWarnings,

		Fields: func(obj *corev1.PersistentVolumeClaim) fields.Set { return fields.Set{"name": obj.Name} },

		Columns: persistentVolumeClaimColumns(),
	})
}

func defaultPersistentVolumeClaim(obj *corev1.PersistentVolumeClaim) {
	orValue(&obj.Status.Phase, corev1.ClaimPending)
	orDefault(&obj.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	roundQuantities(obj.Spec.Resources.Limits)
	roundQuantities(obj.Spec.Resources.Requests)
	roundQuantities(obj.Status.Capacity)
	roundQuantities(obj.Status.AllocatedResources)
}

func preparePersistentVolumeClaim(obj *corev1.PersistentVolumeClaim) {
	obj.Status.Phase = corev1.ClaimPending
	sameDataSource(&obj.Spec)
}

// sameDataSource has the two fields for the source of the data say the same, unless
// it is in another namespace, which only the newer one can name.
func sameDataSource(spec *corev1.PersistentVolumeClaimSpec) {
	source, ref := spec.DataSource, spec.DataSourceRef
	switch {
	case source != nil && ref == nil:
		spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: source.APIGroup, Kind: source.Kind, Name: source.Name}
	case source == nil && ref != nil && ptr.Deref(ref.Namespace, "") == "":
		spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}
	}
}

func persistentVolumeClaimWarnings(obj *corev1.PersistentVolumeClaim) []string {
	list := storageClassWarnings(obj)
	if q, ok := obj.Spec.Resources.Requests[corev1.ResourceStorage]; ok && fractional(q) {
		list = append(list, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer",
			field.NewPath("spec", "resources", "requests").Key(string(corev1.ResourceStorage)), q.String()))
	}
	return list
}

func storageClassWarnings(obj Object) []string {
	if _, ok := obj.GetAnnotations()[corev1.BetaStorageClassAnnotation]; !ok {
		return nil
	}
	return []string{fmt.Sprintf("%s: deprecated since v1.8; use \"storageClassName\" attribute instead",
		field.NewPath("metadata", "annotations").Key(corev1.BetaStorageClassAnnotation))}
}

// storageClassOf is the class of a volume or claim: once an annotation said it.
func storageClassOf(obj Object, name string) string {
	if class, ok := obj.GetAnnotations()[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	return name
}

// accessModes are short for what a volume can be mounted as, in kubectl's order.
var accessModes = []struct {
	mode  corev1.PersistentVolumeAccessMode
	short string
}{
	{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"},
}

func shortModes(modes []corev1.PersistentVolumeAccessMode) string {
	var list []string
	for _, m := range accessModes {
		if slices.Contains(modes, m.mode) {
			list = append(list, m.short)
		}
	}
	return strings.Join(list, ",")
}

func phaseOf[P ~string](obj Object, phase P) string {
	if obj.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return string(phase)
}

func orUnset[T ~string](value *T) string {
	if value == nil {
		return unsetCell
	}
	return string(*value)
}

func persistentVolumeClaimColumns() []Column {
	spec, status := corev1.PersistentVolumeClaimSpec{}.SwaggerDoc(), corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()
	return []Column{
		column("Status", "string", status["phase"], func(obj *corev1.PersistentVolumeClaim) any { return phaseOf(obj, obj.Status.Phase) }),
		column("Volume", "string", spec["volumeName"], func(obj *corev1.PersistentVolumeClaim) any { return obj.Spec.VolumeName }),
		column("Capacity", "string", status["capacity"], func(obj *corev1.PersistentVolumeClaim) any {
			if obj.Spec.VolumeName == "" {
				return ""
			}
			return obj.Status.Capacity.Storage().String()
		}),
		column("Access Modes", "string", status["accessModes"], func(obj *corev1.PersistentVolumeClaim) any {
			if obj.Spec.VolumeName == "" {
				return ""
			}
			return shortModes(obj.Status.AccessModes)
		}),
		column("StorageClass", "string", "StorageClass of the pvc", func(obj *corev1.PersistentVolumeClaim) any {
			return storageClassOf(obj, ptr.Deref(obj.Spec.StorageClassName, ""))
		}),
		column("VolumeAttributesClass", "string", "VolumeAttributesClass of the pvc", func(obj *corev1.PersistentVolumeClaim) any {
			return orUnset(obj.Spec.VolumeAttributesClassName)
		}),
		ageColumn(),
		wide(column("VolumeMode", "string", spec["volumeMode"], func(obj *corev1.PersistentVolumeClaim) any { return orUnset(obj.Spec.VolumeMode) })),
	}
}
