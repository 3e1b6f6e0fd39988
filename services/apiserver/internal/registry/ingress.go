package registry

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// ingressClassAnnotation named the class before spec.ingressClassName did.
const ingressClassAnnotation = "kubernetes.io/ingress.class"

func ingressKind() *Kind {
	return define(networkingv1.SchemeGroupVersion, &networkingv1.IngressList{}, definition[*networkingv1.Ingress]{
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

		Columns: []Column{
			column("Class", "string", "The name of the IngressClass resource that should be used for additional configuration", func(obj *networkingv1.Ingress) any {
				if obj.Spec.IngressClassName == nil {
					return noneCell
				}
				return *obj.Spec.IngressClassName
			}),
			column("Hosts", "string", "Hosts that incoming requests are matched against before the ingress rule", func(obj *networkingv1.Ingress) any {
				return ingressHosts(obj.Spec.Rules)
			}),
			column("Address", "string", "Address is a list containing ingress points for the load-balancer", func(obj *networkingv1.Ingress) any {
				return ingressAddresses(obj.Status.LoadBalancer.Ingress)
			}),
			column("Ports", "string", "Ports of TLS configurations that open", func(obj *networkingv1.Ingress) any {
				if len(obj.Spec.TLS) > 0 {
					return "80, 443"
				}
				return "80"
			}),
			ageColumn(),
		},
	})
}

// ingressHosts lists three hosts; what is more is counted by rules.
func ingressHosts(rules []networkingv1.IngressRule) string {
	const most = 3
	var hosts []string
	for i, rule := range rules {
		if len(hosts) == most {
			return shorten(append(hosts, make([]string, len(rules)-most)...), most, "")
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
