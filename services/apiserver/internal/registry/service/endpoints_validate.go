package service

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

func validateEndpoints(obj *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	for i, subset := range obj.Subsets {
		p := field.NewPath("subsets").Index(i)
		if len(subset.Addresses) == 0 && len(subset.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(p, "must specify `addresses` or `notReadyAddresses`"))
		}
		errs = append(errs, validateEndpointAddresses(subset.Addresses, p.Child("addresses"))...)
		errs = append(errs, validateEndpointAddresses(subset.NotReadyAddresses, p.Child("notReadyAddresses"))...)
		for j, port := range subset.Ports {
			p := p.Child("ports").Index(j)
			if port.Name == "" {
				if len(subset.Ports) > 1 {
					errs = append(errs, field.Required(p.Child("name"), ""))
				}
			} else {
				errs = append(errs, check.Invalid(p.Child("name"), port.Name, validation.IsDNS1123Label(port.Name))...)
			}
			errs = append(errs, check.Invalid(p.Child("port"), port.Port, validation.IsValidPortNum(int(port.Port)))...)
			errs = append(errs, check.OneOf(p.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		}
	}
	return errs
}

func validateEndpointAddresses(list []corev1.EndpointAddress, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, a := range list {
		p := path.Index(i)
		if ipErrs := validation.IsValidIP(p.Child("ip"), a.IP); len(ipErrs) > 0 {
			errs = append(errs, ipErrs...)
		} else {
			errs = append(errs, validateEndpointIP(a.IP, p.Child("ip"))...)
		}
		if a.Hostname != "" {
			errs = append(errs, check.Invalid(p.Child("hostname"), a.Hostname, validation.IsDNS1123Label(a.Hostname))...)
		}
		if a.NodeName != nil {
			errs = append(errs, check.Invalid(p.Child("nodeName"), *a.NodeName, validation.IsDNS1123Subdomain(*a.NodeName))...)
		}
	}
	return errs
}

// validateEndpointIP refuses addresses by which traffic would reach the node
// itself or its neighbours (CVE-2020-8555, CVE-2021-25740).
func validateEndpointIP(value string, path *field.Path) field.ErrorList {
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return field.ErrorList{field.Invalid(path, value, "must be a valid IP address")}
	}
	switch {
	case ip.IsUnspecified():
		return field.ErrorList{field.Invalid(path, value, "may not be unspecified (0.0.0.0 or ::)")}
	case ip.IsLoopback():
		return field.ErrorList{field.Invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")}
	case ip.IsLinkLocalUnicast():
		return field.ErrorList{field.Invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")}
	case ip.IsLinkLocalMulticast():
		return field.ErrorList{field.Invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")}
	}
	return nil
}
