package registry

import (
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func endpointsKind() *Kind {
	return &Kind{
		GVK: corev1.SchemeGroupVersion.WithKind("Endpoints"), Resource: "endpoints", Singular: "endpoints",
		ShortNames: []string{"ep"}, Namespaced: true,
		Type:    "k8s.io.api.core.v1.Endpoints",
		New:     func() Object { return &corev1.Endpoints{} },
		NewList: func() runtime.Object { return &corev1.EndpointsList{} },

		Default:       mutate(defaultEndpoints),
		PrepareCreate: create(func(obj *corev1.Endpoints) { noGeneration(obj) }),
		PrepareUpdate: keepGeneration,
		Validate:      check(validateEndpoints),

		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns: []Column{
			column("Endpoints", "string", corev1.Endpoints{}.SwaggerDoc()["subsets"], func(obj *corev1.Endpoints) any {
				return shorten(endpointAddresses(obj), 3, noneCell)
			}),
			ageColumn(),
		},
	}
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
