package endpoints_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/services/controllermanager/endpoints"
	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"team": "a"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8000)}}},
	}
}

func pod(i int, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("p%04d", i), Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{PodIP: fmt.Sprintf("10.244.%d.%d", i/250, i%250+1),
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func decide(svc *corev1.Service, present *corev1.Endpoints, pods ...*corev1.Pod) *corev1.Endpoints {
	return endpoints.Decide(svc, backend.Of(svc, pods, func(string) bool { return true }), present)
}

func TestReadyAndNotReady(t *testing.T) {
	leaving := pod(3, corev1.ConditionTrue)
	leaving.DeletionTimestamp = &metav1.Time{}
	present := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7", Annotations: map[string]string{"keep": "me"}}}
	got := decide(service(), present, pod(2, corev1.ConditionFalse), pod(1, corev1.ConditionTrue), pod(0, corev1.ConditionTrue), leaving)
	if len(got.Subsets) != 1 {
		t.Fatalf("subsets %+v", got.Subsets)
	}
	s := got.Subsets[0]
	if len(s.Addresses) != 2 || s.Addresses[0].IP != "10.244.0.1" || len(s.NotReadyAddresses) != 1 || s.NotReadyAddresses[0].IP != "10.244.0.3" {
		t.Errorf("addresses %+v, not ready %+v", s.Addresses, s.NotReadyAddresses)
	}
	if s.Ports[0].Port != 8000 || s.Ports[0].Protocol != corev1.ProtocolTCP || *s.Addresses[0].NodeName != "n1" {
		t.Errorf("subset %+v", s)
	}
	if got.ResourceVersion != "7" || got.Annotations["keep"] != "me" || got.Labels["team"] != "a" || got.Labels["endpoints.kubernetes.io/managed-by"] != "endpoint-controller" {
		t.Errorf("metadata %+v", got.ObjectMeta)
	}
}

func TestNothingBehind(t *testing.T) {
	if got := decide(service(), nil); len(got.Subsets) != 0 || got.Name != "web" || got.Namespace != "default" {
		t.Errorf("%+v", got)
	}
}

func TestOverCapacityKeepsReadyOnes(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 1100 {
		ready := corev1.ConditionFalse
		if i >= 200 {
			ready = corev1.ConditionTrue
		}
		pods = append(pods, pod(i, ready))
	}
	got := decide(service(), nil, pods...)
	s := got.Subsets[0]
	if len(s.Addresses) != 900 || len(s.NotReadyAddresses) != 100 || got.Annotations[corev1.EndpointsOverCapacity] != "truncated" {
		t.Errorf("%d ready, %d not, %v", len(s.Addresses), len(s.NotReadyAddresses), got.Annotations)
	}
	if again := decide(service(), got, pods[:10]...); again.Annotations[corev1.EndpointsOverCapacity] != "" {
		t.Error("says that it is cut though it is not")
	}
}
