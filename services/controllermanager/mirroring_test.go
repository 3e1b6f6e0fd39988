package controllermanager_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Endpoints that somebody keeps are mirrored while nothing selects pods and nothing
// forbids it.
func TestEndpointsAreMirrored(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		mirror := func() (addresses []string) {
			for _, s := range list[*discoveryv1.EndpointSlice](w) {
				for _, e := range s.Endpoints {
					addresses = append(addresses, e.Addresses...)
				}
			}
			return addresses
		}
		is := func(want string) func() bool {
			return func() bool {
				got := mirror()
				return want == "" && len(got) == 0 || len(got) == 1 && got[0] == want
			}
		}
		svc := webService()
		svc.Spec.Selector = nil
		create(w, svc)
		ep := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name}, Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: "10.1.2.3"}}, Ports: []corev1.EndpointPort{{Port: 80, Protocol: corev1.ProtocolTCP}},
		}}}
		create(w, ep)
		w.within(time.Second, "a slice", is("10.1.2.3"))
		change(w, svc.Name, func(ep *corev1.Endpoints) { ep.Subsets[0].Addresses[0].IP = "10.2.3.4" })
		w.within(time.Second, "the other address", is("10.2.3.4"))
		change(w, svc.Name, func(ep *corev1.Endpoints) { ep.Labels = map[string]string{discoveryv1.LabelSkipMirror: "true"} })
		w.within(time.Second, "no slice", is(""))
		change(w, svc.Name, func(ep *corev1.Endpoints) { ep.Labels = nil })
		w.within(time.Second, "the slice again", is("10.2.3.4"))
		change(w, svc.Name, func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": "web"} })
		w.within(time.Second, "no slice beside the selected pods'", is(""))
	})
}
