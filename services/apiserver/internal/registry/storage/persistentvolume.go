// Package storage has the kinds of volumes that outlive pods, and of what
// provides them.
package storage

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
	"github.com/musterhq/muster/services/apiserver/internal/registry/volume"
)

// PersistentVolume defines volumes.
func PersistentVolume() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.PersistentVolumeList{}, registry.Definition[*corev1.PersistentVolume]{
		ShortNames: []string{"pv"},
		Status:     true,

		Default: defaultPersistentVolume,
		PrepareCreate: func(obj *corev1.PersistentVolume) {
			obj.Status.Phase = corev1.VolumePending
			setPhaseTransition(obj)
		},
		PrepareStatusUpdate: func(obj, old *corev1.PersistentVolume) {
			if obj.Status.Phase != old.Status.Phase && check.Equal(obj.Status.LastPhaseTransitionTime, old.Status.LastPhaseTransitionTime) {
				setPhaseTransition(obj)
			}
		},

		Validate:       validatePersistentVolume,
		ValidateUpdate: validatePersistentVolumeUpdate,
		Warnings:       persistentVolumeWarnings,

		Fields: func(obj *corev1.PersistentVolume) fields.Set { return fields.Set{"name": obj.Name} },

		Columns: persistentVolumeColumns(),
	})
}

func defaultPersistentVolume(obj *corev1.PersistentVolume) {
	registry.OrValue(&obj.Status.Phase, corev1.VolumePending)
	registry.OrValue(&obj.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	registry.OrDefault(&obj.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	resourcelist.Round(obj.Spec.Capacity)
	if s := obj.Spec.HostPath; s != nil {
		registry.OrDefault(&s.Type, corev1.HostPathUnset)
	}
	if s := obj.Spec.ISCSI; s != nil {
		registry.OrValue(&s.ISCSIInterface, "default")
	}
	if s := obj.Spec.RBD; s != nil {
		registry.OrValue(&s.RBDPool, "rbd")
		registry.OrValue(&s.RadosUser, "admin")
		registry.OrValue(&s.Keyring, "/etc/ceph/keyring")
	}
	if s := obj.Spec.AzureDisk; s != nil {
		registry.OrDefault(&s.CachingMode, corev1.AzureDataDiskCachingReadWrite)
		registry.OrDefault(&s.Kind, corev1.AzureSharedBlobDisk)
		registry.OrDefault(&s.FSType, "ext4")
		registry.OrDefault(&s.ReadOnly, false)
	}
	if s := obj.Spec.ScaleIO; s != nil {
		registry.OrValue(&s.StorageMode, "ThinProvisioned")
		registry.OrValue(&s.FSType, "xfs")
	}
}

// setPhaseTransition notes the time of day: nobody tells the functions of a kind.
func setPhaseTransition(obj *corev1.PersistentVolume) {
	now := metav1.Now().Rfc3339Copy()
	obj.Status.LastPhaseTransitionTime = &now
}

// deprecatedVolumes are the sources that Kubernetes warns of, by the fields' names.
var deprecatedVolumes = map[string]string{
	"gcePersistentDisk":    "deprecated in v1.17",
	"awsElasticBlockStore": "deprecated in v1.17",
	"azureDisk":            "deprecated in v1.19",
	"azureFile":            "deprecated in v1.21",
	"vsphereVolume":        "deprecated in v1.19",
	"cinder":               "deprecated in v1.11",
	"portworxVolume":       "deprecated in v1.25",
	"photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
	"scaleIO":              "deprecated in v1.16, non-functional in v1.22+",
	"storageos":            "deprecated in v1.22, non-functional in v1.25+",
	"glusterfs":            "deprecated in v1.25, non-functional in v1.26+",
	"cephfs":               "deprecated in v1.28, non-functional in v1.31+",
	"rbd":                  "deprecated in v1.28, non-functional in v1.31+",
}

func persistentVolumeWarnings(obj *corev1.PersistentVolume) []string {
	list := storageClassWarnings(obj)
	if obj.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		list = append(list, "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "+
			"Instead, the recommended approach is to use dynamic provisioning.")
	}
	for _, s := range volume.Given(obj.Spec.PersistentVolumeSource) {
		if text, ok := deprecatedVolumes[s.Field]; ok {
			list = append(list, "spec."+s.Field+": "+text)
		}
	}
	slices.Sort(list)
	return list
}

func persistentVolumeColumns() []registry.Column {
	spec, status := corev1.PersistentVolumeSpec{}.SwaggerDoc(), corev1.PersistentVolumeStatus{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("Capacity", "string", spec["capacity"], func(obj *corev1.PersistentVolume) any { return obj.Spec.Capacity.Storage().String() }),
		registry.ColumnOf("Access Modes", "string", spec["accessModes"], func(obj *corev1.PersistentVolume) any { return shortModes(obj.Spec.AccessModes) }),
		registry.ColumnOf("Reclaim Policy", "string", spec["persistentVolumeReclaimPolicy"], func(obj *corev1.PersistentVolume) any {
			return string(obj.Spec.PersistentVolumeReclaimPolicy)
		}),
		registry.ColumnOf("Status", "string", status["phase"], func(obj *corev1.PersistentVolume) any { return phaseOf(obj, obj.Status.Phase) }),
		registry.ColumnOf("Claim", "string", spec["claimRef"], func(obj *corev1.PersistentVolume) any {
			if obj.Spec.ClaimRef == nil {
				return ""
			}
			return obj.Spec.ClaimRef.Namespace + "/" + obj.Spec.ClaimRef.Name
		}),
		registry.ColumnOf("StorageClass", "string", "StorageClass of the pv", func(obj *corev1.PersistentVolume) any {
			return storageClassOf(obj, obj.Spec.StorageClassName)
		}),
		registry.ColumnOf("VolumeAttributesClass", "string", "VolumeAttributesClass of the pv", func(obj *corev1.PersistentVolume) any {
			return orUnset(obj.Spec.VolumeAttributesClassName)
		}),
		registry.ColumnOf("Reason", "string", status["reason"], func(obj *corev1.PersistentVolume) any { return obj.Status.Reason }),
		registry.Age(),
		registry.Wide(registry.ColumnOf("VolumeMode", "string", spec["volumeMode"], func(obj *corev1.PersistentVolume) any { return orUnset(obj.Spec.VolumeMode) })),
	}
}
