package pod_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestPodWarnings(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `
metadata: {name: web, namespace: default}
spec:
  terminationGracePeriodSeconds: -1
  containers:
  - name: a
    image: a
    env: [{name: A, value: a}, {name: A, value: b}, {name: A, value: "$(A)c"}]
    ports: [{containerPort: 80}, {name: again, containerPort: 80}]
    resources: {limits: {memory: 100m}}
`))
	want := []string{
		`spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`,
		`spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer`,
		`spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer`,
		`spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]`,
		`spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
	}
	if got := k.Warnings(obj); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := k.Warnings(kindtest.Prepare(k, kindtest.Decode(t, k, kindtest.PlainPod))); len(got) > 0 {
		t.Errorf("a plain pod is warned of %q", got)
	}
}

func TestBinding(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	sub, ok := k.Subresource("binding")
	if !ok || !sub.Direct {
		t.Fatal("no direct binding subresource")
	}
	pod := kindtest.Prepare(k, kindtest.Decode(t, k, kindtest.PlainPod)).(*corev1.Pod)
	to := func(node string) *corev1.Binding {
		return &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	}
	annotated := to("n1")
	annotated.Annotations = map[string]string{"-": ""}
	if err := sub.Apply(pod.DeepCopy(), annotated); !apierrors.IsInvalid(err) {
		t.Errorf("binding with a bad annotation: %v", err)
	}
	if err := sub.Apply(pod, to("n1")); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.NodeName != "n1" || pod.Generation != 1 || len(pod.Status.Conditions) != 1 || pod.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("after the binding: node %q, generation %d, conditions %v", pod.Spec.NodeName, pod.Generation, pod.Status.Conditions)
	}
	if pod.Generation != 1 {
		t.Errorf("generation %d: a binding is counted, though Kubernetes counts none", pod.Generation)
	}
	want := `Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"`
	if err := sub.Apply(pod, to("n2")); err == nil || err.Error() != want {
		t.Errorf("second binding: %v, want %s", err, want)
	}
}

var _ registry.Object = (*corev1.Binding)(nil)
