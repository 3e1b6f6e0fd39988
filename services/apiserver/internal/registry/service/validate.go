package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// serviceSpecFields are the fields of a service that the proxies, the
// controllers and the DNS servers honour.
var serviceSpecFields = support.Fields(slices.Concat(
	[]string{
		"type", "selector", "clusterIP", "clusterIPs", "externalName",
		"sessionAffinity", "sessionAffinityConfig.clientIP.timeoutSeconds",
		"allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerIP",
		"externalTrafficPolicy", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy", "publishNotReadyAddresses",
	},
	support.Below("ports", []string{"name", "protocol", "appProtocol", "port", "targetPort", "nodePort"}),
)...)

func validateService(obj *corev1.Service) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := support.Check(spec, serviceSpecFields, path)
	if len(spec.Ports) == 0 && spec.ClusterIP != corev1.ClusterIPNone && spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(path.Child("ports"), ""))
	}
	errs = append(errs, validateServiceType(spec, path)...)
	errs = append(errs, validateServicePorts(spec, path.Child("ports"))...)
	errs = append(errs, metav1validation.ValidateLabels(spec.Selector, path.Child("selector"))...)
	errs = append(errs, validateAffinity(spec, path)...)
	errs = append(errs, validateTrafficPolicies(spec, path)...)
	errs = append(errs, validateLoadBalancer(spec, path)...)
	return append(errs, validateAddresses(spec, path)...)
}

func validateServiceType(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	switch spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if spec.ClusterIP == corev1.ClusterIPNone {
			return field.ErrorList{field.Invalid(path.Child("clusterIPs").Index(0), spec.ClusterIP, fmt.Sprintf("may not be set to 'None' for %s services", spec.Type))}
		}
	case corev1.ServiceTypeExternalName:
		return validateExternalName(spec, path)
	}
	return check.OneOf(path.Child("type"), spec.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName,
		corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)
}

func validateExternalName(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	const notSet = "may not be set for ExternalName services"
	var errs field.ErrorList
	if spec.ClusterIP != "" || len(spec.ClusterIPs) > 0 {
		errs = append(errs, field.Forbidden(path.Child("clusterIPs"), notSet))
	}
	if len(spec.IPFamilies) > 0 {
		errs = append(errs, field.Forbidden(path.Child("ipFamilies"), notSet))
	}
	if spec.IPFamilyPolicy != nil {
		errs = append(errs, field.Forbidden(path.Child("ipFamilyPolicy"), notSet))
	}
	// A trailing dot says that the name is complete.
	name := strings.TrimSuffix(spec.ExternalName, ".")
	if name == "" {
		return append(errs, field.Required(path.Child("externalName"), ""))
	}
	return append(errs, check.Invalid(path.Child("externalName"), name, validation.IsDNS1123Subdomain(name))...)
}

func validateServicePorts(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, ports, nodePorts := map[string]bool{}, map[portKey]bool{}, map[portKey]bool{}
	for i := range spec.Ports {
		port, p := &spec.Ports[i], path.Index(i)
		errs = append(errs, validateServicePort(port, len(spec.Ports) > 1, names, p)...)
		key := portKey{port.Protocol, port.Port}
		if ports[key] {
			errs = append(errs, field.Duplicate(p, corev1.ServicePort{Protocol: port.Protocol, Port: port.Port}))
		}
		ports[key] = true
		if port.NodePort == 0 {
			continue
		}
		if spec.Type == corev1.ServiceTypeClusterIP {
			errs = append(errs, field.Forbidden(p.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		key = portKey{port.Protocol, port.NodePort}
		if nodePorts[key] {
			errs = append(errs, field.Duplicate(p.Child("nodePort"), port.NodePort))
		}
		nodePorts[key] = true
	}
	return errs
}

func validateServicePort(port *corev1.ServicePort, needsName bool, names map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if needsName || port.Name != "" {
		errs = append(errs, check.UniqueLabel(port.Name, names, path.Child("name"))...)
	}
	errs = append(errs, check.Invalid(path.Child("port"), port.Port, validation.IsValidPortNum(int(port.Port)))...)
	if port.Protocol == corev1.ProtocolSCTP {
		errs = append(errs, field.Forbidden(path.Child("protocol"), support.NotSupported))
	} else {
		errs = append(errs, check.OneOf(path.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	}
	if port.TargetPort.Type == intstr.Int {
		errs = append(errs, check.Invalid(path.Child("targetPort"), port.TargetPort, validation.IsValidPortNum(port.TargetPort.IntValue()))...)
	} else {
		errs = append(errs, check.Invalid(path.Child("targetPort"), port.TargetPort, validation.IsValidPortName(port.TargetPort.StrVal))...)
	}
	if port.AppProtocol != nil {
		errs = append(errs, check.Invalid(path.Child("appProtocol"), *port.AppProtocol, validation.IsQualifiedName(*port.AppProtocol))...)
	}
	return errs
}

func validateAffinity(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	errs := check.OneOf(path.Child("sessionAffinity"), spec.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	config := path.Child("sessionAffinityConfig")
	if spec.SessionAffinity == corev1.ServiceAffinityNone && spec.SessionAffinityConfig != nil {
		return append(errs, field.Forbidden(config, fmt.Sprintf("must not be set when session affinity is %s", corev1.ServiceAffinityNone)))
	}
	if c := spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		if t := *c.ClientIP.TimeoutSeconds; t <= 0 || t > maxAffinitySeconds {
			errs = append(errs, field.Invalid(config.Child("clientIP", "timeoutSeconds"), t,
				fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds)))
		}
	}
	return errs
}

const maxAffinitySeconds = int32(86400)

func validateTrafficPolicies(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	external := path.Child("externalTrafficPolicy")
	switch p := spec.ExternalTrafficPolicy; {
	case !externalType(spec.Type):
		if p != "" {
			errs = append(errs, field.Invalid(external, p, "may only be set for externally-accessible services"))
		}
	case p == corev1.ServiceExternalTrafficPolicyLocal:
		errs = append(errs, field.Forbidden(external, support.NotSupported))
	default:
		errs = append(errs, check.OneOf(external, p, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	internal := path.Child("internalTrafficPolicy")
	switch p := spec.InternalTrafficPolicy; {
	case p == nil && wantsClusterIP(spec.Type):
		errs = append(errs, field.Required(internal, ""))
	case p == nil:
	case *p == corev1.ServiceInternalTrafficPolicyLocal:
		errs = append(errs, field.Forbidden(internal, support.NotSupported))
	default:
		errs = append(errs, check.OneOf(internal, *p, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	}
	return errs
}

func validateAddresses(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	errs := validateFamilies(spec, path)
	ips := path.Child("clusterIPs")
	switch {
	case spec.ClusterIP == "" && len(spec.ClusterIPs) == 0:
		// One will be allocated.
		return errs
	case spec.ClusterIP == "":
		return append(errs, field.Invalid(ips, spec.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	case len(spec.ClusterIPs) == 0:
		return append(errs, field.Required(ips, ""))
	case spec.ClusterIP != spec.ClusterIPs[0]:
		errs = append(errs, field.Invalid(ips, spec.ClusterIPs, "first value must match `clusterIP`"))
	}
	if len(spec.ClusterIPs) > 1 {
		// A second address is dual stack.
		errs = append(errs, field.Forbidden(ips.Index(1), support.NotSupported))
	}
	if ip := spec.ClusterIPs[0]; ip != corev1.ClusterIPNone {
		errs = append(errs, validation.IsValidIP(ips.Index(0), ip)...)
	}
	return errs
}

func validateFamilies(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, f := range spec.IPFamilies {
		p := path.Child("ipFamilies").Index(i)
		switch {
		case f == corev1.IPv6Protocol || (i > 0 && f == corev1.IPv4Protocol && spec.IPFamilies[0] != f):
			errs = append(errs, field.Forbidden(p, support.NotSupported))
		case f != corev1.IPv4Protocol:
			errs = append(errs, field.NotSupported(p, f, []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}))
		case i > 0:
			errs = append(errs, field.Duplicate(p, f))
		}
	}
	if p := spec.IPFamilyPolicy; p != nil {
		switch *p {
		case corev1.IPFamilyPolicySingleStack:
		case corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack:
			errs = append(errs, field.Forbidden(path.Child("ipFamilyPolicy"), support.NotSupported))
		default:
			errs = append(errs, check.OneOf(path.Child("ipFamilyPolicy"), *p, corev1.IPFamilyPolicyPreferDualStack,
				corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
		}
	}
	return errs
}

func validateServiceUpdate(obj, old *corev1.Service) field.ErrorList {
	return append(keepsClusterIP(obj, old), keepsClass(obj, old)...)
}

// keepsClusterIP, for as long as the service has one.
func keepsClusterIP(obj, old *corev1.Service) field.ErrorList {
	if !wantsClusterIP(obj.Spec.Type) || !wantsClusterIP(old.Spec.Type) || len(old.Spec.ClusterIPs) == 0 {
		return nil
	}
	path := field.NewPath("spec", "clusterIPs").Index(0)
	if len(obj.Spec.ClusterIPs) == 0 {
		return field.ErrorList{field.Invalid(path, obj.Spec.ClusterIPs, "primary clusterIP can not be unset")}
	}
	if obj.Spec.ClusterIPs[0] != old.Spec.ClusterIPs[0] {
		return field.ErrorList{field.Invalid(path, obj.Spec.ClusterIPs, "may not change once set")}
	}
	return nil
}
