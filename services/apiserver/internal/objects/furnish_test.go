package objects_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// A namespace, its own default account and a pod in it come in one transaction.
func TestNamespaceAndPodAtOnce(t *testing.T) {
	s, replica := objectstest.New(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "new", Name: "default"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}}
	pod := labelledPod("p", nil)
	pod.Namespace = "new"
	in := func(kind string, obj registry.Object) objects.Change {
		to := target(t, s, kind, "")
		to.Namespace = "new"
		return objects.Change{Target: to, Create: obj}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
	done, err := s.Transact(admin, []objects.Change{
		{Target: target(t, s, "Namespace", ""), Create: namespace}, in("ServiceAccount", account), in("Pod", pod),
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[*corev1.Pod](t, done[2].Object); got.Spec.ServiceAccountName != "default" || len(got.Spec.ImagePullSecrets) != 1 {
		t.Errorf("pod with %v", got.Spec)
	}
	if n := replica.Store().View().Count("serviceaccounts", "new"); n != 1 {
		t.Errorf("%d accounts", n)
	}
}
