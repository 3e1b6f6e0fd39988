package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// PersistentVolumeClaim defines claims of volumes.
func PersistentVolumeClaim() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.PersistentVolumeClaimList{}, registry.Definition[*corev1.PersistentVolumeClaim]{
		ShortNames: []string{"pvc"}, Namespaced: true,
		Status: true,

		Default:       DefaultClaim,
		PrepareCreate: preparePersistentVolumeClaim,
		PrepareUpdate: func(obj, _ *corev1.PersistentVolumeClaim) { sameDataSource(&obj.Spec) },

		Validate: func(obj *corev1.PersistentVolumeClaim) field.ErrorList {
			return ValidateClaimSpec(&obj.Spec, field.NewPath("spec"))
		},
		ValidateUpdate:       validatePersistentVolumeClaimUpdate,
		ValidateStatusUpdate: validatePersistentVolumeClaimStatus,
		Warnings:             persistentVolumeClaimWarnings,

		Fields: func(obj *corev1.PersistentVolumeClaim) fields.Set { return fields.Set{"name": obj.Name} },

		Columns: persistentVolumeClaimColumns(),
	})
}

// DefaultClaim fills in a claim, which a stateful set may hold as a template.
func DefaultClaim(obj *corev1.PersistentVolumeClaim) {
	registry.OrValue(&obj.Status.Phase, corev1.ClaimPending)
	registry.OrDefault(&obj.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	resourcelist.Round(obj.Spec.Resources.Limits)
	resourcelist.Round(obj.Spec.Resources.Requests)
	resourcelist.Round(obj.Status.Capacity)
	resourcelist.Round(obj.Status.AllocatedResources)
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
	if q, ok := obj.Spec.Resources.Requests[corev1.ResourceStorage]; ok && resourcelist.Fractional(q) {
		list = append(list, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer",
			field.NewPath("spec", "resources", "requests").Key(string(corev1.ResourceStorage)), q.String()))
	}
	return list
}

func storageClassWarnings(obj registry.Object) []string {
	if _, ok := obj.GetAnnotations()[corev1.BetaStorageClassAnnotation]; !ok {
		return nil
	}
	return []string{fmt.Sprintf("%s: deprecated since v1.8; use \"storageClassName\" attribute instead",
		field.NewPath("metadata", "annotations").Key(corev1.BetaStorageClassAnnotation))}
}

// storageClassOf is the class of a volume or claim: once an annotation said it.
func storageClassOf(obj registry.Object, name string) string {
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

func phaseOf[P ~string](obj registry.Object, phase P) string {
	if obj.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return string(phase)
}

func orUnset[T ~string](value *T) string {
	if value == nil {
		return registry.UnsetCell
	}
	return string(*value)
}

func persistentVolumeClaimColumns() []registry.Column {
	spec, status := corev1.PersistentVolumeClaimSpec{}.SwaggerDoc(), corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("Status", "string", status["phase"], func(obj *corev1.PersistentVolumeClaim) any { return phaseOf(obj, obj.Status.Phase) }),
		registry.ColumnOf("Volume", "string", spec["volumeName"], func(obj *corev1.PersistentVolumeClaim) any { return obj.Spec.VolumeName }),
		registry.ColumnOf("Capacity", "string", status["capacity"], func(obj *corev1.PersistentVolumeClaim) any {
			if obj.Spec.VolumeName == "" {
				return ""
			}
			return obj.Status.Capacity.Storage().String()
		}),
		registry.ColumnOf("Access Modes", "string", status["accessModes"], func(obj *corev1.PersistentVolumeClaim) any {
			if obj.Spec.VolumeName == "" {
				return ""
			}
			return shortModes(obj.Status.AccessModes)
		}),
		registry.ColumnOf("StorageClass", "string", "StorageClass of the pvc", func(obj *corev1.PersistentVolumeClaim) any {
			return storageClassOf(obj, ptr.Deref(obj.Spec.StorageClassName, ""))
		}),
		registry.ColumnOf("VolumeAttributesClass", "string", "VolumeAttributesClass of the pvc", func(obj *corev1.PersistentVolumeClaim) any {
			return orUnset(obj.Spec.VolumeAttributesClassName)
		}),
		registry.Age(),
		registry.Wide(registry.ColumnOf("VolumeMode", "string", spec["volumeMode"], func(obj *corev1.PersistentVolumeClaim) any { return orUnset(obj.Spec.VolumeMode) })),
	}
}
