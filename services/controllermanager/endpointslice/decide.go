// Package endpointslice writes down which pods are behind a Service. Decide is
// pure; the Controller observes, asks it and acts.
package endpointslice

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

// maxEndpoints of one slice, Kubernetes' default.
const maxEndpoints = 100

// ManagedBy marks the slices that are this controller's to change.
const ManagedBy = "endpointslice-controller.k8s.io"

var serviceKind = corev1.SchemeGroupVersion.WithKind("Service")

// Plan is what has to be done, all of it together.
type Plan struct {
	Create, Update, Delete []*discoveryv1.EndpointSlice
}

// Zone returns the zone of a node, "" when it has none.
type Zone func(node string) string

// Decide compares the slices that exist for the service with what its backends
// ask for. Endpoints stay in the slice that holds them; slices are filled up
// before one is added, and dropped when they are empty.
func Decide(svc *corev1.Service, backends []backend.Backend, existing []*discoveryv1.EndpointSlice, zone Zone) Plan {
	groups := group(svc, backends, zone)
	var plan Plan
	held := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range existing {
		key := groupKey(s.AddressType, s.Ports)
		if _, wanted := groups[key]; wanted && s.DeletionTimestamp == nil {
			held[key] = append(held[key], s)
			continue
		}
		plan.Delete = append(plan.Delete, s)
	}
	names := takenNames(existing)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		groups[key].place(svc, held[key], names, &plan)
	}
	plan.recycle()
	return plan
}

// recycle turns a slice that would be deleted into one that would be created:
// one write instead of two, and whoever watches sees no moment without either.
func (p *Plan) recycle() {
	var created []*discoveryv1.EndpointSlice
	for _, c := range p.Create {
		i := slices.IndexFunc(p.Delete, func(d *discoveryv1.EndpointSlice) bool {
			return d.AddressType == c.AddressType && d.DeletionTimestamp == nil
		})
		if i < 0 {
			created = append(created, c)
			continue
		}
		again := p.Delete[i].DeepCopy()
		again.Labels, again.OwnerReferences = c.Labels, c.OwnerReferences
		again.Ports, again.Endpoints = c.Ports, c.Endpoints
		p.Update = append(p.Update, again)
		p.Delete = slices.Delete(p.Delete, i, i+1)
	}
	p.Create = created
}

func takenNames(existing []*discoveryv1.EndpointSlice) map[string]bool {
	names := map[string]bool{}
	for _, s := range existing {
		names[s.Name] = true
	}
	return names
}
