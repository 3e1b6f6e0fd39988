package admission_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	plainSpec = `{automountServiceAccountToken: false, containers: [{name: a, image: a}]}`
	loudSpec  = `{automountServiceAccountToken: false, containers: [{name: a, image: a, securityContext: {privileged: true}}]}`
	safeSpec  = `{automountServiceAccountToken: false, securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}},
 containers: [{name: a, image: a, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}`

	// notRestricted is what plainSpec lacks, in the words of Kubernetes' documentation.
	notRestricted = `allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), ` +
		`unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), ` +
		`runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), ` +
		`seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
)

func TestPodSecurity(t *testing.T) {
	const enforce, warn = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"
	for _, test := range []struct {
		name, labels, spec string
		want               outcome
	}{
		{"no label", "", loudSpec, outcome{}},
		{"baseline", enforce + ": baseline", plainSpec, outcome{}},
		{"privileged", enforce + ": baseline", loudSpec, outcome{err: `pods "p" is forbidden: violates PodSecurity "baseline:latest": ` +
			`privileged (container "a" must not set securityContext.privileged=true)`}},
		{"restricted", enforce + ": restricted", plainSpec, outcome{err: `pods "p" is forbidden: violates PodSecurity "restricted:latest": ` + notRestricted}},
		{"safe", enforce + ": restricted", safeSpec, outcome{}},
		{"version", enforce + ": baseline, " + enforce + "-version: v1.25", loudSpec, outcome{err: `pods "p" is forbidden: violates PodSecurity "baseline:v1.25": ` +
			`privileged (container "a" must not set securityContext.privileged=true)`}},
		{"warned", warn + ": restricted", plainSpec, outcome{warnings: []string{`would violate PodSecurity "restricted:latest": ` + notRestricted}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			expect(t, admit(t, stored(t, account, namespace(test.labels)), pod(t, test.spec), nil), test.want)
		})
	}
}

// A workload is stored whatever its template says, and its author warned.
func TestPodSecurityOfTemplates(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "d"}}
	deployment.Spec.Template.Spec = pod(t, plainSpec).Spec
	expect(t, admit(t, stored(t, namespace("pod-security.kubernetes.io/enforce: restricted")), deployment, nil), outcome{
		warnings: []string{`would violate PodSecurity "restricted:latest": ` + notRestricted}})
}

func TestPodSecurityOfUpdates(t *testing.T) {
	v := stored(t, account, namespace("pod-security.kubernetes.io/enforce: baseline"))
	old := pod(t, loudSpec)
	same := old.DeepCopy()
	same.Labels = map[string]string{"a": "b"}
	expect(t, admit(t, v, same, old), outcome{})
	other := old.DeepCopy()
	other.Spec.Containers[0].Image = "b"
	expect(t, admit(t, v, other, old), outcome{err: `pods "p" is forbidden: violates PodSecurity "baseline:latest": ` +
		`privileged (container "a" must not set securityContext.privileged=true)`})
}

func TestPodSecurityLabels(t *testing.T) {
	labelled := func(level string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"pod-security.kubernetes.io/enforce": level}}}
	}
	v := stored(t, "pod\nmetadata: {namespace: ns, name: b}\nspec: "+loudSpec, "pod\nmetadata: {namespace: ns, name: a}\nspec: "+loudSpec,
		"pod\nmetadata: {namespace: other, name: c}\nspec: "+loudSpec)
	wrong := `Namespace "ns" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "high": must be one of privileged, baseline, restricted`
	expect(t, admit(t, v, labelled("high"), nil), outcome{err: wrong})
	expect(t, admit(t, v, labelled("high"), labelled("baseline")), outcome{err: wrong})
	expect(t, admit(t, v, labelled("high"), labelled("high")), outcome{})
	expect(t, admit(t, v, labelled("baseline"), labelled("privileged")), outcome{warnings: []string{
		`existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"`, "a (and 1 other pod): privileged"}})
	expect(t, admit(t, v, labelled("baseline"), labelled("restricted")), outcome{})
}
