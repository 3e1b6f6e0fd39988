package service

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// As in Kubernetes, the load balancer itself is somebody else's: a controller that
// watches services of its class, leads to their node ports and writes the status.

const onlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'"

func balanced(obj *corev1.Service) bool { return obj.Spec.Type == corev1.ServiceTypeLoadBalancer }

func defaultLoadBalancer(obj *corev1.Service) {
	if !balanced(obj) {
		return
	}
	if obj.Spec.AllocateLoadBalancerNodePorts == nil {
		obj.Spec.AllocateLoadBalancerNodePorts = ptr.To(true)
	}
	for i := range obj.Status.LoadBalancer.Ingress {
		if in := &obj.Status.LoadBalancer.Ingress[i]; in.IP != "" && in.IPMode == nil {
			in.IPMode = ptr.To(corev1.LoadBalancerIPModeVIP)
		}
	}
}

// allocatesNodePorts tells whether ports that name no node port get one.
func allocatesNodePorts(obj *corev1.Service) bool {
	return externalType(obj.Spec.Type) && (!balanced(obj) || ptr.Deref(obj.Spec.AllocateLoadBalancerNodePorts, true))
}

// dropLoadBalancer drops what only made sense for the type the service had before.
func dropLoadBalancer(obj, old *corev1.Service) {
	if balanced(obj) {
		return
	}
	obj.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	if !balanced(old) {
		return
	}
	if check.Equal(obj.Spec.AllocateLoadBalancerNodePorts, old.Spec.AllocateLoadBalancerNodePorts) {
		obj.Spec.AllocateLoadBalancerNodePorts = nil
	}
	if check.Equal(obj.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
		obj.Spec.LoadBalancerClass = nil
	}
}

func validateLoadBalancer(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	class, allocate := path.Child("loadBalancerClass"), path.Child("allocateLoadBalancerNodePorts")
	if spec.Type != corev1.ServiceTypeLoadBalancer {
		if spec.AllocateLoadBalancerNodePorts != nil {
			errs = append(errs, field.Forbidden(allocate, onlyLoadBalancer))
		}
		if spec.LoadBalancerClass != nil {
			errs = append(errs, field.Forbidden(class, onlyLoadBalancer))
		}
		return errs
	}
	if spec.LoadBalancerClass != nil {
		errs = append(errs, check.Invalid(class, *spec.LoadBalancerClass, validation.IsQualifiedName(*spec.LoadBalancerClass))...)
	}
	return errs
}

// keepsClass: the controller of another class would not know what to undo.
func keepsClass(obj, old *corev1.Service) field.ErrorList {
	if !balanced(obj) || !balanced(old) || check.Equal(obj.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "loadBalancerClass"), obj.Spec.LoadBalancerClass, "may not change once set")}
}

func validateServiceStatus(obj, _ *corev1.Service) field.ErrorList {
	path := field.NewPath("status", "loadBalancer", "ingress")
	list := obj.Status.LoadBalancer.Ingress
	if !balanced(obj) && len(list) > 0 {
		return field.ErrorList{field.Forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")}
	}
	var errs field.ErrorList
	for i := range list {
		errs = append(errs, validateIngressPoint(&list[i], path.Index(i))...)
	}
	return errs
}

func validateIngressPoint(in *corev1.LoadBalancerIngress, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if in.IP != "" {
		errs = append(errs, validation.IsValidIP(path.Child("ip"), in.IP)...)
	}
	switch mode := path.Child("ipMode"); {
	case in.IPMode == nil && in.IP != "":
		errs = append(errs, field.Required(mode, "must be specified when `ip` is set"))
	case in.IPMode == nil:
	case in.IP == "":
		errs = append(errs, field.Forbidden(mode, "may not be specified when `ip` is not set"))
	default:
		errs = append(errs, check.OneOf(mode, *in.IPMode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
	}
	if in.Hostname == "" {
		return errs
	}
	host := path.Child("hostname")
	errs = append(errs, check.Invalid(host, in.Hostname, validation.IsDNS1123Subdomain(in.Hostname))...)
	if len(validation.IsValidIP(host, in.Hostname)) == 0 {
		errs = append(errs, field.Invalid(host, in.Hostname, "must be a DNS name, not an IP address"))
	}
	return errs
}

// balancerAddresses is where the load balancer is reached, as kubectl get shows it.
func balancerAddresses(obj *corev1.Service) string {
	seen := map[string]bool{}
	for _, in := range obj.Status.LoadBalancer.Ingress {
		seen[cmp.Or(in.IP, in.Hostname)] = true
	}
	delete(seen, "")
	all := append(slices.Sorted(maps.Keys(seen)), obj.Spec.ExternalIPs...)
	return cmp.Or(strings.Join(all, ","), "<pending>")
}
