package storage_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func claim(spec string) string {
	return `{metadata: {name: data, namespace: default}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}` + spec + `}}`
}

func volume(spec string) string {
	return `{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, ` + spec + `}}`
}

func TestStorageValidation(t *testing.T) {
	const subdomain = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"good", "persistentvolumeclaims", claim(``), ""},
		{"nothing", "persistentvolumeclaims", `{metadata: {name: data, namespace: default}}`, "spec.accessModes: Required value: at least 1 access mode is required\nspec.resources[storage]: Required value"},
		{"mode", "persistentvolumeclaims", `{spec: {accessModes: [Other], resources: {requests: {storage: 0}}}}`,
			`spec.accessModes: Unsupported value: "Other": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"` + "\n" + `spec.resources[storage]: Invalid value: "0": must be greater than zero`},
		{"one pod", "persistentvolumeclaims", `{spec: {accessModes: [ReadWriteOncePod, ReadOnlyMany], resources: {requests: {storage: 1}}}}`, "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"},
		{"class", "persistentvolumeclaims", claim(`, storageClassName: a_b, volumeMode: Other`),
			`spec.storageClassName: Invalid value: "a_b": ` + subdomain + "\n" + `spec.volumeMode: Unsupported value: "Other": supported values: "Block", "Filesystem"`},
		{"no class", "persistentvolumeclaims", claim(`, storageClassName: ""`), ""},
		{"source", "persistentvolumeclaims", claim(`, dataSource: {kind: Other, name: ""}`), "spec.dataSource.name: Required value\nspec.dataSource: Invalid value: \"Other\"\nspec.dataSourceRef.name: Required value\nspec.dataSourceRef: Invalid value: \"Other\""},
		{"sources", "persistentvolumeclaims", claim(`, dataSource: {kind: PersistentVolumeClaim, name: a}, dataSourceRef: {kind: PersistentVolumeClaim, name: b}`), `spec: Invalid value: "spec.dataSource": must match dataSourceRef`},

		{"good", "persistentvolumes", volume(`hostPath: {path: /a}`), ""},
		{"nothing", "persistentvolumes", `{metadata: {name: v}}`,
			"spec.accessModes: Required value\nspec.capacity: Required value\nspec.capacity: Unsupported value: null: supported values: \"storage\"\nspec: Required value: must specify a volume type"},
		{"two sources", "persistentvolumes", volume(`hostPath: {path: /a}, nfs: {server: a, path: /b}`), "spec.nfs: Forbidden: may not specify more than 1 volume type"},
		{"policy", "persistentvolumes", volume(`persistentVolumeReclaimPolicy: Other, hostPath: {path: /a}`), `spec.persistentVolumeReclaimPolicy: Unsupported value: "Other": supported values: "Delete", "Recycle", "Retain"`},
		{"recycle", "persistentvolumes", volume(`persistentVolumeReclaimPolicy: Recycle, hostPath: {path: /}`), "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"},
		{"nfs", "persistentvolumes", volume(`nfs: {path: b}`), "spec.nfs.server: Required value\nspec.nfs.path: Invalid value: \"b\": must be an absolute path"},
		{"local", "persistentvolumes", volume(`local: {path: /a}`), "metadata.annotations: Required value: Local volume requires node affinity"},
		{"affinity", "persistentvolumes", volume(`local: {path: /a}, nodeAffinity: {required: {nodeSelectorTerms: []}}`), "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"},
		{"csi", "persistentvolumes", volume(`csi: {driver: a_b, nodeStageSecretRef: {name: a}}`), "spec.csi.volumeHandle: Required value\nspec.csi.driver: Invalid value: \"a_b\": " + subdomain + "\nspec.csi.nodeStageSecretRef.namespace: Required value"},
		{"iscsi", "persistentvolumes", volume(`iscsi: {targetPortal: a, iqn: x, lun: 256}`), "spec.iscsi.iqn: Invalid value: \"x\": must be valid format\nspec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"},
		{"attributes", "persistentvolumes", volume(`hostPath: {path: /a}, volumeAttributesClassName: gold`), "spec.csi: Required value: has to be specified when using volumeAttributesClassName"},
	})
}

func TestStorageDefaults(t *testing.T) {
	k := kindtest.Kind(t, "persistentvolumeclaims")
	c := kindtest.Prepare(k, kindtest.Decode(t, k, claim(`, dataSource: {kind: PersistentVolumeClaim, name: a}`))).(*corev1.PersistentVolumeClaim)
	if c.Status.Phase != "Pending" || *c.Spec.VolumeMode != "Filesystem" || c.Spec.DataSourceRef.Name != "a" {
		t.Errorf("claim: %s", kindtest.YAML(t, c))
	}
	k = kindtest.Kind(t, "persistentvolumes")
	v := kindtest.Prepare(k, kindtest.Decode(t, k, volume(`hostPath: {path: /a}`))).(*corev1.PersistentVolume)
	if v.Status.Phase != "Pending" || v.Spec.PersistentVolumeReclaimPolicy != "Retain" || *v.Spec.HostPath.Type != "" || v.Status.LastPhaseTransitionTime == nil {
		t.Errorf("volume: %s", kindtest.YAML(t, v))
	}
}

// A claim asks for what it asked for, but for more once it is bound.
func TestClaimUpdate(t *testing.T) {
	k := kindtest.Kind(t, "persistentvolumeclaims")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, claim(``))).(*corev1.PersistentVolumeClaim)
	update := func(f func(old, obj *corev1.PersistentVolumeClaim)) []string {
		before, obj := old.DeepCopy(), old.DeepCopy()
		f(before, obj)
		var texts []string
		for _, err := range kindtest.ValidateChange(k, kindtest.PrepareChange(k, obj, before), before) {
			text, _, _ := strings.Cut(err.Error(), "\n")
			texts = append(texts, text)
		}
		return texts
	}
	bind := func(old, obj *corev1.PersistentVolumeClaim) {
		old.Status.Phase, old.Spec.VolumeName = "Bound", "v"
		obj.Spec.VolumeName = "v"
		old.Status.Capacity = corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	}
	ask := func(obj *corev1.PersistentVolumeClaim, size string) {
		obj.Spec.Resources.Requests["storage"] = resource.MustParse(size)
	}
	const immutable = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
	for _, tt := range []struct {
		name string
		f    func(old, obj *corev1.PersistentVolumeClaim)
		want string
	}{
		{"bound now", func(_, obj *corev1.PersistentVolumeClaim) { obj.Spec.VolumeName = "v" }, ""},
		{"more before", func(_, obj *corev1.PersistentVolumeClaim) { ask(obj, "2Gi") }, immutable},
		{"more", func(old, obj *corev1.PersistentVolumeClaim) { bind(old, obj); ask(obj, "2Gi") }, ""},
		{"less", func(old, obj *corev1.PersistentVolumeClaim) { bind(old, obj); ask(obj, "512Mi") }, "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"},
		{"modes", func(old, obj *corev1.PersistentVolumeClaim) {
			bind(old, obj)
			obj.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"ReadWriteMany"}
		}, immutable},
		{"class later", func(_, obj *corev1.PersistentVolumeClaim) { obj.Spec.StorageClassName = new("gold") }, ""},
		{"annotation", func(_, obj *corev1.PersistentVolumeClaim) {
			obj.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "gold"}
		}, `metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: "gold": field is immutable`},
	} {
		if got := strings.Join(update(tt.f), "\n"); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestVolumeUpdate(t *testing.T) {
	k := kindtest.Kind(t, "persistentvolumes")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, volume(`hostPath: {path: /a}`))).(*corev1.PersistentVolume)
	obj := old.DeepCopy()
	obj.Spec.HostPath.Path = "/b"
	errs := kindtest.ValidateChange(k, kindtest.PrepareChange(k, obj, old), old)
	const want = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
	if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
		t.Errorf("got %v, want %s", errs, want)
	}
	status := old.DeepCopy()
	status.Status.Phase, status.Status.LastPhaseTransitionTime = "Bound", nil
	before := old.DeepCopy()
	before.Status.LastPhaseTransitionTime = nil
	k.PrepareStatusUpdate(status, before)
	if status.Status.LastPhaseTransitionTime == nil {
		t.Error("the time of a new phase is not noted")
	}
}

func TestStorageLines(t *testing.T) {
	const created = `creationTimestamp: "2026-11-20T11:55:00Z"`
	kindtest.CheckLines(t, []kindtest.Sample{
		{"bound", "persistentvolumeclaims", `{metadata: {` + created + `}, spec: {volumeName: v, storageClassName: gold, volumeMode: Block}, status: {phase: Bound, accessModes: [ReadOnlyMany, ReadWriteOnce], capacity: {storage: 1Gi}}}`,
			`["Bound" "v" "1Gi" "RWO,ROX" "gold" "<unset>" "5m" "Block"]`},
		{"pending", "persistentvolumeclaims", `{metadata: {` + created + `, deletionTimestamp: "2026-11-20T11:55:00Z"}, spec: {accessModes: [ReadWriteOncePod]}, status: {phase: Pending}}`,
			`["Terminating" "" "" "" "" "<unset>" "5m" "<unset>"]`},
		{"volume", "persistentvolumes", `{metadata: {` + created + `}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOncePod], persistentVolumeReclaimPolicy: Delete, claimRef: {namespace: a, name: b}, storageClassName: gold, volumeAttributesClassName: fast, volumeMode: Filesystem}, status: {phase: Bound, reason: r}}`,
			`["1Gi" "RWOP" "Delete" "Bound" "a/b" "gold" "fast" "r" "5m" "Filesystem"]`},
	})
}

func TestStorageWarnings(t *testing.T) {
	for _, tt := range []struct{ resource, object, want string }{
		{"persistentvolumeclaims", `{metadata: {annotations: {volume.beta.kubernetes.io/storage-class: a}}, spec: {resources: {requests: {storage: 500m}}}}`,
			`metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead` + "\n" +
				`spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer`},
		{"persistentvolumes", volume(`persistentVolumeReclaimPolicy: Recycle, cephfs: {monitors: [a]}`),
			"spec.cephfs: deprecated in v1.28, non-functional in v1.31+\nspec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."},
	} {
		k := kindtest.Kind(t, tt.resource)
		if got := strings.Join(k.Warnings(kindtest.Decode(t, k, tt.object)), "\n"); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.resource, got, tt.want)
		}
	}
}
