package endpointslice

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

// endpointGroup holds the endpoints of one address family that have the same ports.
type endpointGroup struct {
	key       string
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// group sorts the backends by family and ports. A family without any gets an
// empty group, so that the service has a slice that says so.
func group(svc *corev1.Service, backends []backend.Backend, zone Zone) map[string]*endpointGroup {
	groups := map[string]*endpointGroup{}
	for _, family := range backend.Families(svc) {
		kind := discoveryv1.AddressTypeIPv4
		if family == corev1.IPv6Protocol {
			kind = discoveryv1.AddressTypeIPv6
		}
		found := false
		for _, b := range backends {
			address := b.Address(family)
			if address == "" {
				continue
			}
			found = true
			ports := slicePorts(b.Ports)
			key := groupKey(kind, ports)
			if groups[key] == nil {
				groups[key] = &endpointGroup{key: key, family: kind, ports: ports}
			}
			groups[key].endpoints = append(groups[key].endpoints, endpoint(svc, b, address, zone))
		}
		if !found {
			key := groupKey(kind, nil)
			groups[key] = &endpointGroup{key: key, family: kind}
		}
	}
	return groups
}

func slicePorts(ports []backend.Port) []discoveryv1.EndpointPort {
	out := make([]discoveryv1.EndpointPort, 0, len(ports))
	for _, p := range ports {
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &p.Number, AppProtocol: p.AppProtocol})
	}
	return out
}

// groupKey names a family and a set of ports, whatever their order.
func groupKey(family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	parts := make([]string, 0, len(ports))
	for _, p := range ports {
		parts = append(parts, fmt.Sprintf("%s/%s/%d/%s", ptr.Deref(p.Name, ""), ptr.Deref(p.Protocol, ""), ptr.Deref(p.Port, 0), ptr.Deref(p.AppProtocol, "")))
	}
	slices.Sort(parts)
	return string(family) + "|" + strings.Join(parts, ",")
}

func endpoint(svc *corev1.Service, b backend.Backend, address string, zone Zone) discoveryv1.Endpoint {
	ready, serving, terminating := b.Ready, b.Serving, b.Terminating
	e := discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: b.Pod.Namespace, Name: b.Pod.Name, UID: b.Pod.UID},
	}
	if node := b.Pod.Spec.NodeName; node != "" {
		e.NodeName = &node
		if z := zone(node); z != "" {
			e.Zone = &z
		}
	}
	if h := b.Hostname(svc); h != "" {
		e.Hostname = &h
	}
	return e
}

// place distributes the group's endpoints over the slices that exist and, where
// those are full, new ones.
func (g *endpointGroup) place(svc *corev1.Service, held []*discoveryv1.EndpointSlice, names map[string]bool, plan *Plan) {
	slices.SortFunc(held, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	left := map[string]discoveryv1.Endpoint{}
	for _, e := range g.endpoints {
		left[identity(e)] = e
	}
	filled := make([][]discoveryv1.Endpoint, len(held))
	for i, s := range held {
		for _, e := range s.Endpoints {
			if now, ok := left[identity(e)]; ok {
				filled[i] = append(filled[i], now)
				delete(left, identity(e))
			}
		}
	}
	rest := make([]discoveryv1.Endpoint, 0, len(left))
	for _, id := range slices.Sorted(maps.Keys(left)) {
		rest = append(rest, left[id])
	}
	for i := range held {
		// Nothing stops another from putting more into a slice than this controller would.
		n := max(0, min(len(rest), maxEndpoints-len(filled[i])))
		filled[i] = append(filled[i], rest[:n]...)
		rest = rest[n:]
	}
	g.compare(svc, held, filled, plan)
	for len(rest) > 0 || (len(g.endpoints) == 0 && len(held) == 0) {
		n := min(len(rest), maxEndpoints)
		plan.Create = append(plan.Create, g.slice(svc, rest[:n], names))
		rest = rest[n:]
		if n == 0 {
			return
		}
	}
}

// compare plans what has to happen to the slices that exist.
func (g *endpointGroup) compare(svc *corev1.Service, held []*discoveryv1.EndpointSlice, filled [][]discoveryv1.Endpoint, plan *Plan) {
	kept := 0
	for i, s := range held {
		// The last one stays though it is empty when the service has no endpoints.
		if len(filled[i]) == 0 && (len(g.endpoints) > 0 || kept > 0) {
			plan.Delete = append(plan.Delete, s)
			continue
		}
		kept++
		want := s.DeepCopy()
		want.Endpoints, want.Ports = filled[i], g.ports
		want.Labels = sliceLabels(svc)
		want.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(svc, serviceKind)}
		if !equality.Semantic.DeepEqual(s, want) {
			plan.Update = append(plan.Update, want)
		}
	}
}

// identity tells endpoints apart: by pod and address.
func identity(e discoveryv1.Endpoint) string {
	var uid string
	if e.TargetRef != nil {
		uid = string(e.TargetRef.UID)
	}
	return strings.Join(e.Addresses, ",") + "|" + uid
}
