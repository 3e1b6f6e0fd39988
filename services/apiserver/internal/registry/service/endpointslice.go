package service

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// EndpointSlice defines parts of a service's addresses.
func EndpointSlice() *registry.Kind {
	return registry.Define(discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSliceList{}, registry.Definition[*discoveryv1.EndpointSlice]{
		Namespaced: true,

		Default: defaultEndpointSlice,
		Counted: func(obj, old *discoveryv1.EndpointSlice) bool {
			return !check.Equal(obj.Endpoints, old.Endpoints) || !check.Equal(obj.Ports, old.Ports) ||
				obj.AddressType != old.AddressType || !check.Equal(obj.Labels, old.Labels) || !check.Equal(obj.Annotations, old.Annotations)
		},
		Validate:       validateEndpointSlice,
		ValidateUpdate: validateEndpointSliceUpdate,

		Warnings: func(obj *discoveryv1.EndpointSlice) []string {
			if obj.AddressType == discoveryv1.AddressTypeFQDN {
				return []string{"spec.addressType: FQDN endpoints are deprecated"}
			}
			return nil
		},

		IndexedLabels: []string{discoveryv1.LabelServiceName},
		Columns:       endpointSliceColumns(),
	})
}

func defaultEndpointSlice(obj *discoveryv1.EndpointSlice) {
	for i := range obj.Ports {
		if obj.Ports[i].Name == nil {
			obj.Ports[i].Name = ptr.To("")
		}
		if obj.Ports[i].Protocol == nil {
			obj.Ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}

func endpointSliceColumns() []registry.Column {
	doc := discoveryv1.EndpointSlice{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("AddressType", "string", doc["addressType"], func(obj *discoveryv1.EndpointSlice) any { return string(obj.AddressType) }),
		registry.ColumnOf("Ports", "string", doc["ports"], func(obj *discoveryv1.EndpointSlice) any {
			var ports []string
			for _, p := range obj.Ports {
				switch {
				case p.Port != nil:
					ports = append(ports, strconv.Itoa(int(*p.Port)))
				case p.Name != nil:
					ports = append(ports, *p.Name)
				default:
					ports = append(ports, "*")
				}
			}
			return registry.Shorten(ports, 3, registry.UnsetCell)
		}),
		registry.ColumnOf("Endpoints", "string", doc["endpoints"], func(obj *discoveryv1.EndpointSlice) any {
			var list []string
			for _, e := range obj.Endpoints {
				list = append(list, e.Addresses...)
			}
			return registry.Shorten(list, 3, registry.UnsetCell)
		}),
		registry.Age(),
	}
}
