package admission_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The defaults are those of "Configure Default Memory Requests and Limits for a
// Namespace" in Kubernetes' documentation.
func TestLimitDefaults(t *testing.T) {
	v := stored(t, account, `limitrange
metadata: {namespace: ns, name: mem-limit-range}
spec: {limits: [{type: Container, default: {memory: 512Mi}, defaultRequest: {memory: 256Mi}}]}`)
	for _, test := range []struct{ name, resources, requests, limits, note string }{
		{"nothing said", `{}`, "256Mi", "512Mi", "LimitRanger plugin set: memory request for container a; memory limit for container a"},
		{"limit said", `{limits: {memory: 1Gi}, requests: {memory: 1Gi}}`, "1Gi", "1Gi", ""},
		{"request said", `{requests: {memory: 128Mi}}`, "128Mi", "512Mi", "LimitRanger plugin set: memory limit for container a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			obj := pod(t, `{containers: [{name: a, image: a, resources: `+test.resources+`}]}`)
			expect(t, admit(t, v, obj, nil), outcome{})
			got := obj.Spec.Containers[0].Resources
			if r, l := got.Requests[corev1.ResourceMemory], got.Limits[corev1.ResourceMemory]; r.String() != test.requests || l.String() != test.limits {
				t.Errorf("request %s, limit %s", r.String(), l.String())
			}
			if note := obj.Annotations["kubernetes.io/limit-ranger"]; note != test.note {
				t.Errorf("note %q", note)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	const refused = `pods "p" is forbidden: `
	for _, test := range []struct{ name, limits, resources, want string }{
		{"within", `{type: Container, max: {memory: 1Gi}, min: {memory: 500Mi}}`, `{limits: {memory: 800Mi}, requests: {memory: 600Mi}}`, ""},
		{"over", `{type: Container, max: {memory: 1Gi}, min: {memory: 500Mi}}`, `{limits: {memory: 1536Mi}, requests: {memory: 800Mi}}`,
			refused + "maximum memory usage per Container is 1Gi, but limit is 1536Mi"},
		{"under", `{type: Container, max: {memory: 1Gi}, min: {memory: 500Mi}}`, `{limits: {memory: 800Mi}, requests: {memory: 100Mi}}`,
			refused + "minimum memory usage per Container is 500Mi, but request is 100Mi"},
		{"nothing", `{type: Container, max: {cpu: 1}, min: {cpu: 200m}}`, `{}`,
			refused + "[minimum cpu usage per Container is 200m.  No request is specified, maximum cpu usage per Container is 1.  No limit is specified]"},
		{"ratio", `{type: Container, maxLimitRequestRatio: {memory: 2}}`, `{limits: {memory: 300Mi}, requests: {memory: 100Mi}}`,
			refused + "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		{"ratio of nothing", `{type: Container, maxLimitRequestRatio: {memory: 2}}`, `{limits: {memory: 300Mi}}`,
			refused + "memory max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		{"pod", `{type: Pod, max: {cpu: 2}}`, `{limits: {cpu: 1500m}, requests: {cpu: 1}}`,
			refused + "maximum cpu usage per Pod is 2, but limit is 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := stored(t, account, "limitrange\nmetadata: {namespace: ns, name: l}\nspec: {limits: ["+test.limits+"]}")
			spec := `{containers: [{name: a, image: a, resources: ` + test.resources + `}]}`
			if test.name == "pod" {
				spec = `{containers: [{name: a, image: a, resources: ` + test.resources + `}, {name: b, image: a, resources: ` + test.resources + `}]}`
			}
			expect(t, admit(t, v, pod(t, spec), nil), outcome{err: test.want})
		})
	}
}

// "Limit Storage Consumption" in Kubernetes' documentation.
func TestStorageLimits(t *testing.T) {
	v := stored(t, `limitrange
metadata: {namespace: ns, name: storagelimits}
spec: {limits: [{type: PersistentVolumeClaim, max: {storage: 2Gi}, min: {storage: 1Gi}}]}`)
	for size, want := range map[string]string{
		"1Gi": "", "2Gi": "",
		"5Gi":   `persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi`,
		"100Mi": `persistentvolumeclaims "c" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 100Mi`,
	} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}}
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
		expect(t, admit(t, v, claim, nil), outcome{err: want})
	}
}
