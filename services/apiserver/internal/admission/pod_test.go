package admission_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestServiceAccounts(t *testing.T) {
	v := stored(t, account, `serviceaccount
metadata: {namespace: ns, name: quiet}
automountServiceAccountToken: false
imagePullSecrets: [{name: pull}]`, `serviceaccount
metadata: {namespace: ns, name: strict, annotations: {kubernetes.io/enforce-mountable-secrets: "true"}}
secrets: [{name: known}]`)
	const a = `containers: [{name: a, image: a}]`
	for _, test := range []struct {
		name, spec, want, account, pull string
		mounted                         bool
	}{
		{"default", `{` + a + `}`, "", "default", "", true},
		{"missing", `{serviceAccountName: gone, ` + a + `}`,
			`pods "p" is forbidden: error looking up service account ns/gone: serviceaccount "gone" not found`, "", "", false},
		{"no token", `{automountServiceAccountToken: false, ` + a + `}`, "", "default", "", false},
		{"account without", `{serviceAccountName: quiet, ` + a + `}`, "", "quiet", "pull", false},
		{"pod with", `{serviceAccountName: quiet, automountServiceAccountToken: true, imagePullSecrets: [{name: own}], ` + a + `}`, "", "quiet", "own", true},
		{"known secret", `{serviceAccountName: strict, volumes: [{name: v, secret: {secretName: known}}], ` + a + `}`, "", "strict", "", true},
		{"other secret", `{serviceAccountName: strict, volumes: [{name: v, secret: {secretName: x}}], ` + a + `}`,
			`pods "p" is forbidden: volume with secret.secretName="x" is not allowed because service account strict does not reference that secret`, "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			obj := pod(t, test.spec)
			expect(t, admit(t, v, obj, nil), outcome{err: test.want})
			if test.want != "" {
				return
			}
			if obj.Spec.ServiceAccountName != test.account || obj.Spec.DeprecatedServiceAccount != test.account {
				t.Errorf("account %s", obj.Spec.ServiceAccountName)
			}
			if pull := obj.Spec.ImagePullSecrets; (test.pull == "") != (len(pull) == 0) || len(pull) == 1 && pull[0].Name != test.pull {
				t.Errorf("pull secrets %v", pull)
			}
			checkToken(t, obj, test.mounted)
		})
	}
}

// checkToken looks for the volume of every pod in Kubernetes, "Bound service account
// token volume mechanism".
func checkToken(t *testing.T, obj *corev1.Pod, mounted bool) {
	t.Helper()
	mounts := obj.Spec.Containers[0].VolumeMounts
	if !mounted {
		if len(mounts) != 0 {
			t.Errorf("mounted %v", mounts)
		}
		return
	}
	v := obj.Spec.Volumes[len(obj.Spec.Volumes)-1]
	if !strings.HasPrefix(v.Name, "kube-api-access-") || len(v.Name) != len("kube-api-access-")+5 || v.Projected == nil ||
		len(v.Projected.Sources) != 3 || *v.Projected.DefaultMode != 0o644 {
		t.Fatalf("volume %v", v)
	}
	token, ca, ns := v.Projected.Sources[0].ServiceAccountToken, v.Projected.Sources[1].ConfigMap, v.Projected.Sources[2].DownwardAPI
	if token.Path != "token" || *token.ExpirationSeconds != 3607 || ca.Name != "kube-root-ca.crt" || ca.Items[0].Path != "ca.crt" ||
		ns.Items[0].Path != "namespace" || ns.Items[0].FieldRef.FieldPath != "metadata.namespace" {
		t.Errorf("sources %v", v.Projected.Sources)
	}
	if len(mounts) != 1 || mounts[0].MountPath != "/var/run/secrets/kubernetes.io/serviceaccount" || !mounts[0].ReadOnly || mounts[0].Name != v.Name {
		t.Errorf("mounted %v", mounts)
	}
}

func TestOwnMountIsKept(t *testing.T) {
	obj := pod(t, `{volumes: [{name: v, emptyDir: {}}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}]}`)
	expect(t, admit(t, stored(t, account), obj, nil), outcome{})
	if len(obj.Spec.Volumes) != 1 || len(obj.Spec.Containers[0].VolumeMounts) != 1 {
		t.Errorf("changed to %v", obj.Spec)
	}
}

func TestMirrorPods(t *testing.T) {
	mirror := func(spec string) *corev1.Pod {
		obj := pod(t, spec)
		obj.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		return obj
	}
	for spec, want := range map[string]string{
		`{containers: [{name: a, image: a}]}`:                                                                       "",
		`{serviceAccountName: default, containers: [{name: a, image: a}]}`:                                          `pods "p" is forbidden: a mirror pod may not reference service accounts`,
		`{volumes: [{name: v, secret: {secretName: s}}], containers: [{name: a, image: a}]}`:                        `pods "p" is forbidden: a mirror pod may not reference secrets`,
		`{volumes: [{name: v, projected: {sources: [{configMap: {name: c}}]}}], containers: [{name: a, image: a}]}`: `pods "p" is forbidden: a mirror pod may not reference configmaps`,
	} {
		obj := mirror(spec)
		expect(t, admit(t, stored(t, account), obj, nil), outcome{err: want})
		if want == "" && len(obj.Spec.Volumes) != 0 {
			t.Errorf("changed to %v", obj.Spec)
		}
	}
}

func TestPriorities(t *testing.T) {
	v := stored(t, account, "priorityclass\nmetadata: {name: high}\nvalue: 1000\npreemptionPolicy: Never")
	const a = `containers: [{name: a, image: a}]`
	for _, test := range []struct {
		name, spec, want string
		priority         int32
		policy           corev1.PreemptionPolicy
	}{
		{"none", `{` + a + `}`, "", 0, corev1.PreemptLowerPriority},
		{"class", `{priorityClassName: high, ` + a + `}`, "", 1000, corev1.PreemptNever},
		{"system", `{priorityClassName: system-node-critical, ` + a + `}`, "", 2000001000, corev1.PreemptLowerPriority},
		{"same value", `{priorityClassName: high, priority: 1000, ` + a + `}`, "", 1000, corev1.PreemptNever},
		{"missing", `{priorityClassName: gone, ` + a + `}`, `pods "p" is forbidden: no PriorityClass with name gone was found`, 0, ""},
		{"other value", `{priorityClassName: high, priority: 5, ` + a + `}`,
			`pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name`, 0, ""},
		{"other policy", `{preemptionPolicy: Never, ` + a + `}`,
			`pods "p" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name`, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			obj := pod(t, test.spec)
			expect(t, admit(t, v, obj, nil), outcome{err: test.want})
			if test.want == "" && (*obj.Spec.Priority != test.priority || *obj.Spec.PreemptionPolicy != test.policy) {
				t.Errorf("priority %d, %s", *obj.Spec.Priority, *obj.Spec.PreemptionPolicy)
			}
		})
	}
}

func TestRuntimeClasses(t *testing.T) {
	v := stored(t, account, `runtimeclass
metadata: {name: vm}
handler: vm
overhead: {podFixed: {cpu: 250m}}
scheduling: {nodeSelector: {vm: "yes"}, tolerations: [{key: vm, operator: Exists}]}`)
	obj := pod(t, `{runtimeClassName: vm, nodeSelector: {disk: fast}, containers: [{name: a, image: a}]}`)
	expect(t, admit(t, v, obj, nil), outcome{})
	if cpu := obj.Spec.Overhead[corev1.ResourceCPU]; cpu.String() != "250m" || obj.Spec.NodeSelector["vm"] != "yes" || obj.Spec.NodeSelector["disk"] != "fast" || len(obj.Spec.Tolerations) != 1 {
		t.Errorf("made %v", obj.Spec)
	}
	for spec, want := range map[string]string{
		`{runtimeClassName: gone, containers: [{name: a, image: a}]}`:                         `pods "p" is forbidden: pod rejected: RuntimeClass "gone" not found`,
		`{overhead: {cpu: 1}, containers: [{name: a, image: a}]}`:                             `pods "p" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead`,
		`{runtimeClassName: vm, overhead: {cpu: 1}, containers: [{name: a, image: a}]}`:       `pods "p" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`,
		`{runtimeClassName: vm, nodeSelector: {vm: "no"}, containers: [{name: a, image: a}]}`: `pods "p" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no`,
	} {
		expect(t, admit(t, v, pod(t, spec), nil), outcome{err: want})
	}
}

func TestDefaultStorageClass(t *testing.T) {
	v := stored(t, `storageclass
metadata: {name: old, creationTimestamp: "2020-01-01T00:00:00Z", annotations: {storageclass.kubernetes.io/is-default-class: "true"}}`, `storageclass
metadata: {name: new, creationTimestamp: "2021-01-01T00:00:00Z", annotations: {storageclass.kubernetes.io/is-default-class: "true"}}`, `storageclass
metadata: {name: newest, creationTimestamp: "2022-01-01T00:00:00Z"}`)
	for _, test := range []struct {
		says *string
		want string
	}{{nil, "new"}, {ptr.To(""), ""}, {ptr.To("old"), "old"}} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}}
		claim.Spec.StorageClassName = test.says
		expect(t, admit(t, v, claim, nil), outcome{})
		if got := ptr.Deref(claim.Spec.StorageClassName, "none"); got != test.want {
			t.Errorf("class %s, want %s", got, test.want)
		}
	}
}
