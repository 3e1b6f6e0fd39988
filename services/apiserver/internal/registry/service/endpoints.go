package service

import (
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Endpoints defines addresses of a service as they were before slices.
func Endpoints() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.EndpointsList{}, registry.Definition[*corev1.Endpoints]{
		ShortNames: []string{"ep"}, Namespaced: true, CreateOnUpdate: true,

		Default:  defaultEndpoints,
		Validate: validateEndpoints,

		Columns: []registry.Column{
			registry.ColumnOf("Endpoints", "string", corev1.Endpoints{}.SwaggerDoc()["subsets"], func(obj *corev1.Endpoints) any {
				return registry.Shorten(endpointAddresses(obj), 3, registry.NoneCell)
			}),
			registry.Age(),
		},
	})
}

func defaultEndpoints(obj *corev1.Endpoints) {
	for i := range obj.Subsets {
		for j := range obj.Subsets[i].Ports {
			if p := &obj.Subsets[i].Ports[j]; p.Protocol == "" {
				p.Protocol = corev1.ProtocolTCP
			}
		}
	}
}

// endpointAddresses lists every address with every port: "10.244.0.3:8000".
func endpointAddresses(obj *corev1.Endpoints) []string {
	var list []string
	for _, subset := range obj.Subsets {
		if len(subset.Ports) == 0 {
			// A headless service without ports has addresses alone.
			for _, a := range subset.Addresses {
				list = append(list, a.IP)
			}
			continue
		}
		for _, port := range subset.Ports {
			for _, a := range subset.Addresses {
				list = append(list, net.JoinHostPort(a.IP, strconv.Itoa(int(port.Port))))
			}
		}
	}
	return list
}
