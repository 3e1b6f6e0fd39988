package networking

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

const hostIsAddress = "must be a DNS name, not an IP address"

func validateIngress(obj *networkingv1.Ingress) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	var errs field.ErrorList
	if len(spec.Rules) == 0 && spec.DefaultBackend == nil {
		errs = append(errs, field.Invalid(path, spec.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if spec.DefaultBackend != nil {
		errs = append(errs, validateIngressBackend(spec.DefaultBackend, path.Child("defaultBackend"))...)
	}
	for i, rule := range spec.Rules {
		errs = append(errs, validateIngressRule(&rule, path.Child("rules").Index(i))...)
	}
	for i, tls := range spec.TLS {
		p := path.Child("tls").Index(i)
		for j, host := range tls.Hosts {
			errs = append(errs, validateHost(host, p.Child("hosts").Index(j))...)
		}
		if tls.SecretName != "" {
			errs = append(errs, check.Invalid(p.Child("secretName"), tls.SecretName, validation.IsDNS1123Subdomain(tls.SecretName))...)
		}
	}
	if class := spec.IngressClassName; class != nil {
		errs = append(errs, check.Invalid(path.Child("ingressClassName"), *class, validation.IsDNS1123Subdomain(*class))...)
	}
	return errs
}

func validateIngressCreate(obj *networkingv1.Ingress) field.ErrorList {
	class, ok := obj.Annotations[ingressClassAnnotation]
	if ok && obj.Spec.IngressClassName != nil && class != *obj.Spec.IngressClassName {
		return field.ErrorList{field.Invalid(field.NewPath("annotations").Child(ingressClassAnnotation), class,
			"must match `ingressClassName` when both are specified")}
	}
	return nil
}

// validateHost checks a name, which may begin with a wildcard.
func validateHost(host string, path *field.Path) field.ErrorList {
	if strings.Contains(host, "*") {
		return check.Invalid(path, host, validation.IsWildcardDNS1123Subdomain(host))
	}
	return check.Invalid(path, host, validation.IsDNS1123Subdomain(host))
}

func validateIngressRule(rule *networkingv1.IngressRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rule.Host != "" {
		if isAddress(rule.Host) {
			errs = append(errs, field.Invalid(path.Child("host"), rule.Host, hostIsAddress))
		}
		errs = append(errs, validateHost(rule.Host, path.Child("host"))...)
	}
	if rule.HTTP == nil {
		return errs
	}
	paths := path.Child("http", "paths")
	if len(rule.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(paths, ""))
	}
	for i := range rule.HTTP.Paths {
		errs = append(errs, validateIngressPath(&rule.HTTP.Paths[i], paths.Index(i))...)
	}
	return errs
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// What paths that are matched as they are may not hold, since it would be another
// path after cleaning.
var (
	uncleanSequences = []string{"//", "/./", "/../", "%2f", "%2F"}
	uncleanEnds      = []string{"/..", "/."}
)

func validateIngressPath(p *networkingv1.HTTPIngressPath, path *field.Path) field.ErrorList {
	if p.PathType == nil {
		return field.ErrorList{field.Required(path.Child("pathType"), "pathType must be specified")}
	}
	errs := check.Among(path.Child("pathType"), *p.PathType, networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix)
	matched := *p.PathType == networkingv1.PathTypeExact || *p.PathType == networkingv1.PathTypePrefix
	if len(errs) == 0 && !strings.HasPrefix(p.Path, "/") && (matched || p.Path != "") {
		errs = append(errs, field.Invalid(path.Child("path"), p.Path, "must be an absolute path"))
	}
	if matched {
		for _, s := range uncleanSequences {
			if strings.Contains(p.Path, s) {
				errs = append(errs, field.Invalid(path.Child("path"), p.Path, "must not contain '"+s+"'"))
			}
		}
		for _, s := range uncleanEnds {
			if strings.HasSuffix(p.Path, s) {
				errs = append(errs, field.Invalid(path.Child("path"), p.Path, "cannot end with '"+s+"'"))
			}
		}
	}
	return append(errs, validateIngressBackend(&p.Backend, path.Child("backend"))...)
}

func validateIngressBackend(b *networkingv1.IngressBackend, path *field.Path) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return validateLocalReference(b.Resource, path.Child("resource"))
	case b.Service == nil:
		return field.ErrorList{field.Invalid(path, "", "resource or service backend is required")}
	}
	var errs field.ErrorList
	service := path.Child("service")
	if b.Service.Name == "" {
		errs = append(errs, field.Required(service.Child("name"), ""))
	} else {
		errs = append(errs, check.Invalid(service.Child("name"), b.Service.Name, apivalidation.NameIsDNS1035Label(b.Service.Name, false))...)
	}
	switch port := b.Service.Port; {
	case port.Name != "" && port.Number != 0:
		errs = append(errs, field.Invalid(path, "", "cannot set both port name & port number"))
	case port.Name != "":
		errs = append(errs, check.Invalid(service.Child("port", "name"), port.Name, validation.IsValidPortName(port.Name))...)
	case port.Number != 0:
		errs = append(errs, check.Invalid(service.Child("port", "number"), port.Number, validation.IsValidPortNum(int(port.Number)))...)
	default:
		errs = append(errs, field.Required(path, "port name or number is required"))
	}
	return errs
}

func validateLocalReference(ref *corev1.TypedLocalObjectReference, path *field.Path) field.ErrorList {
	errs := check.APIGroup(ref.APIGroup, path.Child("apiGroup"))
	errs = append(errs, check.RequiredSegment(path.Child("kind"), ref.Kind)...)
	return append(errs, check.RequiredSegment(path.Child("name"), ref.Name)...)
}

func validateIngressStatus(obj, old *networkingv1.Ingress) field.ErrorList {
	var errs field.ErrorList
	var before []string
	for _, i := range old.Status.LoadBalancer.Ingress {
		before = append(before, i.IP)
	}
	for n, i := range obj.Status.LoadBalancer.Ingress {
		path := field.NewPath("status", "loadBalancer", "ingress").Index(n)
		if i.IP != "" && !slices.Contains(before, i.IP) {
			errs = append(errs, validation.IsValidIPForLegacyField(path.Child("ip"), i.IP, true, nil)...)
		}
		if i.Hostname != "" {
			errs = append(errs, check.Invalid(path.Child("hostname"), i.Hostname, validation.IsDNS1123Subdomain(i.Hostname))...)
			if isAddress(i.Hostname) {
				errs = append(errs, field.Invalid(path.Child("hostname"), i.Hostname, hostIsAddress))
			}
		}
	}
	return errs
}
