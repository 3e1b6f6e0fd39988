// Package networking has the kinds of networking.k8s.io.
package networking

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// ingressClassAnnotation named the class before spec.ingressClassName did.
const ingressClassAnnotation = "kubernetes.io/ingress.class"

// Ingress defines rules for HTTP from outside.
func Ingress() *registry.Kind {
	return registry.Define(networkingv1.SchemeGroupVersion, &networkingv1.IngressList{}, registry.Definition[*networkingv1.Ingress]{
		ShortNames: []string{"ing"}, Namespaced: true, Status: true, Generation: true,

		Validate:             validateIngress,
		ValidateCreate:       validateIngressCreate,
		ValidateStatusUpdate: validateIngressStatus,
		Warnings: func(obj *networkingv1.Ingress) []string {
			if _, ok := obj.Annotations[ingressClassAnnotation]; ok {
				return []string{`annotation "` + ingressClassAnnotation + `" is deprecated, please use 'spec.ingressClassName' instead`}
			}
			return nil
		},

		Columns: []registry.Column{
			registry.ColumnOf("Class", "string", "The name of the IngressClass resource that should be used for additional configuration", func(obj *networkingv1.Ingress) any {
				if obj.Spec.IngressClassName == nil {
					return registry.NoneCell
				}
				return *obj.Spec.IngressClassName
			}),
			registry.ColumnOf("Hosts", "string", "Hosts that incoming requests are matched against before the ingress rule", func(obj *networkingv1.Ingress) any {
				return ingressHosts(obj.Spec.Rules)
			}),
			registry.ColumnOf("Address", "string", "Address is a list containing ingress points for the load-balancer", func(obj *networkingv1.Ingress) any {
				return ingressAddresses(obj.Status.LoadBalancer.Ingress)
			}),
			registry.ColumnOf("Ports", "string", "Ports of TLS configurations that open", func(obj *networkingv1.Ingress) any {
				if len(obj.Spec.TLS) > 0 {
					return "80, 443"
				}
				return "80"
			}),
			registry.Age(),
		},
	})
}

// ingressHosts lists three hosts; what is more is counted by rules.
func ingressHosts(rules []networkingv1.IngressRule) string {
	const most = 3
	var hosts []string
	for i, rule := range rules {
		if len(hosts) == most {
			return registry.Shorten(append(hosts, make([]string, len(rules)-most)...), most, "")
		}
		if rule.Host != "" {
			hosts = append(hosts, rules[i].Host)
		}
	}
	if len(hosts) == 0 {
		return "*"
	}
	return strings.Join(hosts, ",")
}

func ingressAddresses(list []networkingv1.IngressLoadBalancerIngress) string {
	var addresses []string
	for _, i := range list {
		if a := i.IP; a != "" {
			addresses = append(addresses, a)
		} else if i.Hostname != "" {
			addresses = append(addresses, i.Hostname)
		}
	}
	slices.Sort(addresses)
	return strings.Join(slices.Compact(addresses), ",")
}
