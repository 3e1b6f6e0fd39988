package service

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

func serviceColumns() []registry.Column {
	doc := corev1.ServiceSpec{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("Type", "string", doc["type"], func(obj *corev1.Service) any { return string(obj.Spec.Type) }),
		registry.ColumnOf("Cluster-IP", "string", doc["clusterIP"], func(obj *corev1.Service) any {
			if len(obj.Spec.ClusterIPs) > 0 {
				return registry.OrNone(obj.Spec.ClusterIPs[0])
			}
			return registry.OrNone(obj.Spec.ClusterIP)
		}),
		registry.ColumnOf("External-IP", "string", doc["externalIPs"], func(obj *corev1.Service) any { return externalIP(obj) }),
		registry.ColumnOf("Port(s)", "string", doc["ports"], func(obj *corev1.Service) any { return servicePorts(obj.Spec.Ports) }),
		registry.Age(),
		registry.Wide(registry.ColumnOf("Selector", "string", doc["selector"], func(obj *corev1.Service) any {
			return registry.OrNone(labels.FormatLabels(obj.Spec.Selector))
		})),
	}
}

func externalIP(obj *corev1.Service) string {
	switch obj.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return obj.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		return balancerAddresses(obj)
	}
	return registry.OrNone(strings.Join(obj.Spec.ExternalIPs, ","))
}

func servicePorts(ports []corev1.ServicePort) string {
	var parts []string
	for _, p := range ports {
		if p.NodePort > 0 {
			parts = append(parts, fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol))
		} else {
			parts = append(parts, fmt.Sprintf("%d/%s", p.Port, p.Protocol))
		}
	}
	return registry.OrNone(strings.Join(parts, ","))
}
