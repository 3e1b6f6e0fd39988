package endpointslicemirroring_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/controllermanager/endpointslicemirroring"
)

func byHand(ips ...string) *corev1.Endpoints {
	ep := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db", UID: "1", Labels: map[string]string{"team": "a"},
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "note": "x"}},
		Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Name: "b", Port: 2, Protocol: "TCP"}, {Name: "a", Port: 1, Protocol: "TCP"}}}},
	}
	for _, ip := range ips {
		ep.Subsets[0].Addresses = append(ep.Subsets[0].Addresses, corev1.EndpointAddress{IP: ip})
	}
	return ep
}

func TestSlicesOfEndpoints(t *testing.T) {
	ep := byHand("10.1.2.3", "fd00::1")
	ep.Subsets[0].NotReadyAddresses = []corev1.EndpointAddress{{IP: "10.1.2.4", Hostname: "second"}}
	plan := endpointslicemirroring.Decide(ep, nil)
	if len(plan.Create) != 2 || len(plan.Update)+len(plan.Delete) != 0 {
		t.Fatalf("plan %+v", plan)
	}
	got := map[discoveryv1.AddressType]string{}
	for _, s := range plan.Create {
		for _, e := range s.Endpoints {
			got[s.AddressType] += e.Addresses[0]
			if *e.Conditions.Ready {
				got[s.AddressType] += " ready "
			}
		}
		if len(s.Ports) != 2 || *s.Ports[0].Name != "a" || s.OwnerReferences[0].UID != "1" || !*s.OwnerReferences[0].Controller {
			t.Errorf("slice %+v", s)
		}
		want := map[string]string{"team": "a", discoveryv1.LabelServiceName: "db", discoveryv1.LabelManagedBy: endpointslicemirroring.ManagedBy}
		if !cmp.Equal(s.Labels, want) || !cmp.Equal(s.Annotations, map[string]string{"note": "x"}) {
			t.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
		}
	}
	want := map[discoveryv1.AddressType]string{"IPv4": "10.1.2.3 ready 10.1.2.4", "IPv6": "fd00::1 ready "}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestSlicesFollowEndpoints(t *testing.T) {
	there := endpointslicemirroring.Decide(byHand("10.1.2.3"), nil).Create
	swapped := byHand("10.1.2.3")
	ports := swapped.Subsets[0].Ports
	ports[0], ports[1] = ports[1], ports[0]
	moved := byHand("10.1.2.3")
	moved.Subsets[0].Ports[0].Port = 3
	for name, tc := range map[string]struct {
		ep                     *corev1.Endpoints
		create, update, remove int
	}{
		"nothing changed":        {byHand("10.1.2.3"), 0, 0, 0},
		"ports in another order": {swapped, 0, 0, 0},
		"another address":        {byHand("10.2.3.4"), 0, 1, 0},
		"one more":               {byHand("10.1.2.3", "10.2.3.4"), 0, 1, 0},
		"another port":           {moved, 1, 0, 1},
		"of the other family":    {byHand("fd00::1"), 1, 0, 1},
		"none left":              {byHand(), 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			plan := endpointslicemirroring.Decide(tc.ep, there)
			if len(plan.Create) != tc.create || len(plan.Update) != tc.update || len(plan.Delete) != tc.remove {
				t.Errorf("create %d, update %d, delete %d; want %d, %d, %d",
					len(plan.Create), len(plan.Update), len(plan.Delete), tc.create, tc.update, tc.remove)
			}
		})
	}
}
