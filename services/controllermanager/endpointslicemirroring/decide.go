// Package endpointslicemirroring writes EndpointSlices for the Endpoints that
// people keep by hand for a Service without selector, since proxies and DNS read
// slices only. Decide is pure; the Controller observes, asks it and acts.
package endpointslicemirroring

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/musterhq/muster/services/controllermanager/endpointslice"
)

// ManagedBy marks the slices that are this controller's to change.
const ManagedBy = "endpointslicemirroring-controller.k8s.io"

// maxEndpoints that are mirrored of those with the same ports: Kubernetes' limit,
// which is also that of one slice.
const maxEndpoints = 1000

// leaderAnnotation is on endpoints that were a lock of leader election, before
// there were Leases.
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"

var endpointsKind = corev1.SchemeGroupVersion.WithKind("Endpoints")

// mirrored says whether endpoints are kept by hand and to be mirrored: the service
// selects no pods, and they say nothing against it.
func mirrored(svc *corev1.Service, ep *corev1.Endpoints) bool {
	_, lock := ep.Annotations[leaderAnnotation]
	return svc.DeletionTimestamp == nil && ep.DeletionTimestamp == nil && len(svc.Spec.Selector) == 0 &&
		ep.Labels[discoveryv1.LabelSkipMirror] != "true" && !lock
}

// Decide compares the slices that exist with what the endpoints ask for: one for
// each address family and set of ports, whose name follows from them.
func Decide(ep *corev1.Endpoints, existing []*discoveryv1.EndpointSlice) endpointslice.Plan {
	wanted := wantedSlices(ep)
	var plan endpointslice.Plan
	for _, s := range existing {
		want, ok := wanted[s.Name]
		if !ok || want.AddressType != s.AddressType || s.DeletionTimestamp != nil {
			plan.Delete = append(plan.Delete, s)
			continue
		}
		delete(wanted, s.Name)
		again := s.DeepCopy()
		again.Labels, again.Annotations, again.OwnerReferences = want.Labels, want.Annotations, want.OwnerReferences
		again.Ports, again.Endpoints = want.Ports, want.Endpoints
		if !equality.Semantic.DeepEqual(s, again) {
			plan.Update = append(plan.Update, again)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		plan.Create = append(plan.Create, wanted[name])
	}
	return plan
}

func wantedSlices(ep *corev1.Endpoints) map[string]*discoveryv1.EndpointSlice {
	wanted := map[string]*discoveryv1.EndpointSlice{}
	for _, subset := range ep.Subsets {
		ports := slicePorts(subset.Ports)
		add := func(addresses []corev1.EndpointAddress, ready bool) {
			for _, a := range addresses {
				family, e, err := endpoint(a, ready)
				if err != nil {
					continue // Validation lets none through.
				}
				name := sliceName(ep, family, ports)
				if wanted[name] == nil {
					wanted[name] = slice(ep, name, family, ports)
				}
				if s := wanted[name]; len(s.Endpoints) < maxEndpoints {
					s.Endpoints = append(s.Endpoints, e)
				}
			}
		}
		add(subset.Addresses, true)
		add(subset.NotReadyAddresses, false)
	}
	return wanted
}

// slicePorts are sorted, so that their order does not change what a slice is called.
func slicePorts(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b corev1.EndpointPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	out := make([]discoveryv1.EndpointPort, len(sorted))
	for i, p := range sorted {
		out[i] = discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &p.Port, AppProtocol: p.AppProtocol}
	}
	return out
}

func endpoint(a corev1.EndpointAddress, ready bool) (discoveryv1.AddressType, discoveryv1.Endpoint, error) {
	ip, err := netip.ParseAddr(a.IP)
	if err != nil {
		return "", discoveryv1.Endpoint{}, err
	}
	e := discoveryv1.Endpoint{
		Addresses: []string{ip.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef: a.TargetRef, NodeName: a.NodeName,
	}
	if a.Hostname != "" {
		e.Hostname = &a.Hostname
	}
	if ip.Unmap().Is4() {
		return discoveryv1.AddressTypeIPv4, e, nil
	}
	return discoveryv1.AddressTypeIPv6, e, nil
}

func slice(ep *corev1.Endpoints, name string, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	labels, annotations := maps.Clone(ep.Labels), maps.Clone(ep.Annotations)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[discoveryv1.LabelServiceName], labels[discoveryv1.LabelManagedBy] = ep.Name, ManagedBy
	delete(annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ep.Namespace, Name: name, GenerateName: ep.Name + "-", Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ep, endpointsKind)},
		},
		AddressType: family, Ports: ports,
	}
}

// sliceName follows from the endpoints and the ports, so that a second attempt by a
// stale cache meets the first one.
func sliceName(ep *corev1.Endpoints, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s|%s", ep.UID, family)
	for _, p := range ports {
		fmt.Fprintf(h, "|%s/%s/%d", *p.Name, *p.Protocol, *p.Port)
	}
	return ep.Name + "-" + rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}
