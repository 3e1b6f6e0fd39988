package endpointslice

import (
	"fmt"
	"hash/fnv"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// slice makes a new slice. Its name follows from the service and the group, so
// that a second attempt by a stale cache meets the first one.
func (g *endpointGroup) slice(svc *corev1.Service, endpoints []discoveryv1.Endpoint, names map[string]bool) *discoveryv1.EndpointSlice {
	name := ""
	for n := 0; name == "" || names[name]; n++ {
		h := fnv.New32a()
		fmt.Fprintf(h, "%s|%s|%d", svc.UID, g.key, n)
		suffix := rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
		name = svc.Name + "-" + suffix[:min(5, len(suffix))]
	}
	names[name] = true
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: svc.Namespace, Name: name, GenerateName: svc.Name + "-",
			Labels:          sliceLabels(svc),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, serviceKind)},
		},
		AddressType: g.family,
		Ports:       g.ports,
		Endpoints:   slices.Clone(endpoints),
	}
}

// sliceLabels are the service's own and those that say whose the slice is.
func sliceLabels(svc *corev1.Service) map[string]string {
	out := map[string]string{}
	for k, v := range svc.Labels {
		if k != discoveryv1.LabelServiceName && k != discoveryv1.LabelManagedBy && k != corev1.IsHeadlessService {
			out[k] = v
		}
	}
	if svc.Spec.ClusterIP == corev1.ClusterIPNone || (svc.Spec.ClusterIP == "" && svc.Spec.Type != corev1.ServiceTypeExternalName) {
		out[corev1.IsHeadlessService] = ""
	}
	out[discoveryv1.LabelServiceName] = svc.Name
	out[discoveryv1.LabelManagedBy] = ManagedBy
	return out
}
