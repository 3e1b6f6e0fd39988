package networking

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// NetworkPolicy defines what traffic pods are to take.
func NetworkPolicy() *registry.Kind {
	return registry.Define(networkingv1.SchemeGroupVersion, &networkingv1.NetworkPolicyList{}, registry.Definition[*networkingv1.NetworkPolicy]{
		ShortNames: []string{"netpol"}, Namespaced: true, Generation: true,

		Default:  defaultNetworkPolicy,
		Validate: validateNetworkPolicy,
		// Kubernetes leaves it to the network to enforce a policy; whoever writes one
		// should know that this network does not.
		Warnings: func(*networkingv1.NetworkPolicy) []string {
			return []string{"this version of Muster stores network policies and does not enforce them"}
		},

		Columns: []registry.Column{
			registry.ColumnOf("Pod-Selector", "string", networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"], func(obj *networkingv1.NetworkPolicy) any {
				return metav1.FormatLabelSelector(&obj.Spec.PodSelector)
			}),
			registry.Age(),
		},
	})
}

func defaultNetworkPolicy(obj *networkingv1.NetworkPolicy) {
	for _, rule := range obj.Spec.Ingress {
		defaultPolicyPorts(rule.Ports)
	}
	for _, rule := range obj.Spec.Egress {
		defaultPolicyPorts(rule.Ports)
	}
	if len(obj.Spec.PolicyTypes) > 0 {
		return
	}
	obj.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(obj.Spec.Egress) > 0 {
		obj.Spec.PolicyTypes = append(obj.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}

func defaultPolicyPorts(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		if ports[i].Protocol == nil {
			ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}

func validateNetworkPolicy(obj *networkingv1.NetworkPolicy) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := check.LabelSelector(&spec.PodSelector, path.Child("podSelector"))
	for i, rule := range spec.Ingress {
		p := path.Child("ingress").Index(i)
		errs = append(errs, validatePolicyRule(rule.Ports, rule.From, p, p.Child("from"))...)
	}
	for i, rule := range spec.Egress {
		p := path.Child("egress").Index(i)
		errs = append(errs, validatePolicyRule(rule.Ports, rule.To, p, p.Child("to"))...)
	}
	types := path.Child("policyTypes")
	if len(spec.PolicyTypes) > 2 {
		return append(errs, field.Invalid(types, spec.PolicyTypes, "may not specify more than two policyTypes"))
	}
	for i, t := range spec.PolicyTypes {
		errs = append(errs, check.Among(types.Index(i), t, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)...)
	}
	return errs
}

func validatePolicyRule(ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer, path, peersPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range ports {
		errs = append(errs, validatePolicyPort(&ports[i], path.Child("ports").Index(i))...)
	}
	for i := range peers {
		errs = append(errs, validatePolicyPeer(&peers[i], peersPath.Index(i))...)
	}
	return errs
}

func validatePolicyPort(p *networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Protocol != nil {
		errs = append(errs, check.Among(path.Child("protocol"), *p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
	}
	end := path.Child("endPort")
	switch {
	case p.Port == nil:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is not specified"))
		}
	case p.Port.Type == intstr.String:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is non-numeric"))
		}
		errs = append(errs, check.Invalid(path.Child("port"), p.Port.StrVal, validation.IsValidPortName(p.Port.StrVal))...)
	default:
		errs = append(errs, check.Invalid(path.Child("port"), p.Port.IntVal, validation.IsValidPortNum(int(p.Port.IntVal)))...)
		if p.EndPort == nil {
			break
		}
		if *p.EndPort < p.Port.IntVal {
			errs = append(errs, field.Invalid(end, *p.EndPort, "must be greater than or equal to `port`"))
		}
		errs = append(errs, check.Invalid(end, *p.EndPort, validation.IsValidPortNum(int(*p.EndPort)))...)
	}
	return errs
}

func validatePolicyPeer(peer *networkingv1.NetworkPolicyPeer, path *field.Path) field.ErrorList {
	errs := check.LabelSelector(peer.PodSelector, path.Child("podSelector"))
	errs = append(errs, check.LabelSelector(peer.NamespaceSelector, path.Child("namespaceSelector"))...)
	selects := peer.PodSelector != nil || peer.NamespaceSelector != nil
	if peer.IPBlock != nil {
		errs = append(errs, validateIPBlock(peer.IPBlock, path.Child("ipBlock"))...)
	}
	switch {
	case !selects && peer.IPBlock == nil:
		errs = append(errs, field.Required(path, "must specify a peer"))
	case selects && peer.IPBlock != nil:
		errs = append(errs, field.Forbidden(path, "may not specify both ipBlock and another peer"))
	}
	return errs
}

func validateIPBlock(b *networkingv1.IPBlock, path *field.Path) field.ErrorList {
	if b.CIDR == "" {
		return field.ErrorList{field.Required(path.Child("cidr"), "")}
	}
	errs := validation.IsValidCIDRForLegacyField(path.Child("cidr"), b.CIDR, true, nil)
	cidr, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return errs
	}
	for i, text := range b.Except {
		p := path.Child("except").Index(i)
		errs = append(errs, validation.IsValidCIDRForLegacyField(p, text, true, nil)...)
		except, err := netip.ParsePrefix(text)
		if err == nil && (!cidr.Contains(except.Addr()) || cidr.Bits() >= except.Bits()) {
			errs = append(errs, field.Invalid(p, text, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
