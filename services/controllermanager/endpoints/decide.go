// Package endpoints writes the Endpoints object of a Service, for clients that
// do not know EndpointSlices. Decide is pure; the Controller acts.
package endpoints

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

// maxAddresses of one object; what is beyond is cut and the object says so.
const maxAddresses = 1000

// managedByLabel and managedBy mark the objects this controller writes.
const (
	managedByLabel = "endpoints.kubernetes.io/managed-by"
	managedBy      = "endpoint-controller"
)

// Decide returns the Endpoints of the service, from the present one (nil for
// none) so that what others wrote in its metadata stays.
func Decide(svc *corev1.Service, backends []backend.Backend, present *corev1.Endpoints) *corev1.Endpoints {
	want := &corev1.Endpoints{}
	if present != nil {
		want = present.DeepCopy()
	}
	want.Namespace, want.Name = svc.Namespace, svc.Name
	want.Labels = maps.Clone(svc.Labels)
	if want.Labels == nil {
		want.Labels = map[string]string{}
	}
	delete(want.Labels, corev1.IsHeadlessService)
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		want.Labels[corev1.IsHeadlessService] = ""
	}
	want.Labels[managedByLabel] = managedBy
	subsets, cut := subsetsOf(svc, backends)
	want.Subsets = subsets
	delete(want.Annotations, corev1.EndpointsOverCapacity)
	if cut {
		if want.Annotations == nil {
			want.Annotations = map[string]string{}
		}
		want.Annotations[corev1.EndpointsOverCapacity] = "truncated"
	}
	return want
}

// subsetsOf groups the addresses by their ports, as Kubernetes orders them.
func subsetsOf(svc *corev1.Service, backends []backend.Backend) ([]corev1.EndpointSubset, bool) {
	byPorts := map[string]*corev1.EndpointSubset{}
	count, cut := 0, false
	for _, b := range readyFirst(backends) {
		address := b.Address(backend.Families(svc)[0])
		if address == "" || (b.Terminating && !svc.Spec.PublishNotReadyAddresses) {
			continue
		}
		if count++; count > maxAddresses {
			cut = true
			break
		}
		ports := endpointPorts(b.Ports)
		key := portsKey(ports)
		if byPorts[key] == nil {
			byPorts[key] = &corev1.EndpointSubset{Ports: ports}
		}
		add(byPorts[key], svc, b, address)
	}
	var out []corev1.EndpointSubset
	for _, key := range slices.Sorted(maps.Keys(byPorts)) {
		s := byPorts[key]
		sortAddresses(s.Addresses)
		sortAddresses(s.NotReadyAddresses)
		out = append(out, *s)
	}
	return out, cut
}

// readyFirst makes sure that it is not a working address that is cut.
func readyFirst(backends []backend.Backend) []backend.Backend {
	sorted := slices.Clone(backends)
	slices.SortStableFunc(sorted, func(a, b backend.Backend) int {
		switch {
		case a.Ready == b.Ready:
			return 0
		case a.Ready:
			return -1
		}
		return 1
	})
	return sorted
}

func add(s *corev1.EndpointSubset, svc *corev1.Service, b backend.Backend, address string) {
	a := corev1.EndpointAddress{
		IP:        address,
		Hostname:  b.Hostname(svc),
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: b.Pod.Namespace, Name: b.Pod.Name, UID: b.Pod.UID},
	}
	if node := b.Pod.Spec.NodeName; node != "" {
		a.NodeName = &node
	}
	if b.Ready {
		s.Addresses = append(s.Addresses, a)
	} else {
		s.NotReadyAddresses = append(s.NotReadyAddresses, a)
	}
}

func endpointPorts(ports []backend.Port) []corev1.EndpointPort {
	var out []corev1.EndpointPort
	for _, p := range ports {
		out = append(out, corev1.EndpointPort{Name: p.Name, Port: p.Number, Protocol: p.Protocol, AppProtocol: p.AppProtocol})
	}
	slices.SortFunc(out, func(a, b corev1.EndpointPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}

// portsKey tells sets of ports apart.
func portsKey(ports []corev1.EndpointPort) string {
	parts := make([]string, 0, len(ports))
	for _, p := range ports {
		parts = append(parts, fmt.Sprintf("%s/%d/%s/%s", p.Name, p.Port, p.Protocol, ptr.Deref(p.AppProtocol, "")))
	}
	return strings.Join(parts, ",")
}

func sortAddresses(addresses []corev1.EndpointAddress) {
	slices.SortFunc(addresses, func(a, b corev1.EndpointAddress) int {
		return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(string(a.TargetRef.UID), string(b.TargetRef.UID)))
	})
}
