package objects_test

import (
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// Component statuses are not stored: they tell who renews a Lease.
func TestComponentStatuses(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
	for name, age := range map[string]time.Duration{"kube-scheduler": 0, "kube-controller-manager": time.Minute} {
		at := metav1.NewMicroTime(time.Now().Add(-age))
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr("a"), LeaseDurationSeconds: ptr(int32(5)), RenewTime: &at},
		}
		to := target(t, s, "Lease", "")
		to.Namespace = "kube-system"
		if _, err := s.Create(admin, to, lease, false); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.List(admin, target(t, s, "cs", ""), objects.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, item := range page.Items {
		obj := decode[*corev1.ComponentStatus](t, item)
		got = append(got, obj.Name+" "+string(obj.Conditions[0].Status))
	}
	if text := strings.Join(got, ", "); text != "controller-manager False, etcd-0 True, scheduler True" {
		t.Errorf("listed %s", text)
	}
	one, err := s.Get(admin, target(t, s, "cs", "scheduler"), "")
	if err != nil || decode[*corev1.ComponentStatus](t, one).Conditions[0].Message != "ok" {
		t.Errorf("scheduler: %v, %v", one, err)
	}
	if _, err := s.Get(admin, target(t, s, "cs", "other"), ""); !apierrors.IsNotFound(err) {
		t.Errorf("other: %v", err)
	}
	if _, err := s.Create(admin, target(t, s, "cs", ""), &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, false); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("create: %v", err)
	}
}

// A binding of the old form is one of pods/binding.
func TestBindings(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "Pod", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}},
	})
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	if _, err := s.Create(admin, target(t, s, "Binding", ""), binding, false); err != nil {
		t.Fatal(err)
	}
	pod, err := s.Get(admin, target(t, s, "Pod", "a"), "")
	if err != nil || decode[*corev1.Pod](t, pod).Spec.NodeName != "n" {
		t.Errorf("pod after its binding: %v, %v", pod, err)
	}
}
