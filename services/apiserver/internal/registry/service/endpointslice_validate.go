package service

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

const (
	maxSliceEndpoints    = 1000
	maxSlicePorts        = 100
	maxEndpointAddresses = 100
	maxHints             = 8
)

func validateEndpointSlice(obj *discoveryv1.EndpointSlice) field.ErrorList {
	errs := check.OneOf(field.NewPath("addressType"), obj.AddressType,
		discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6)
	errs = append(errs, validateSliceEndpoints(obj, field.NewPath("endpoints"))...)
	return append(errs, validateSlicePorts(obj.Ports, field.NewPath("ports"))...)
}

func validateSliceEndpoints(obj *discoveryv1.EndpointSlice, path *field.Path) field.ErrorList {
	if len(obj.Endpoints) > maxSliceEndpoints {
		return field.ErrorList{field.TooMany(path, len(obj.Endpoints), maxSliceEndpoints)}
	}
	var errs field.ErrorList
	for i, e := range obj.Endpoints {
		p := path.Index(i)
		addresses := p.Child("addresses")
		if len(e.Addresses) == 0 {
			errs = append(errs, field.Required(addresses, "must contain at least 1 address"))
		}
		if len(e.Addresses) > maxEndpointAddresses {
			errs = append(errs, field.TooMany(addresses, len(e.Addresses), maxEndpointAddresses))
		}
		for j, a := range e.Addresses {
			errs = append(errs, validateSliceAddress(obj.AddressType, a, addresses.Index(j))...)
		}
		if e.NodeName != nil {
			errs = append(errs, check.Invalid(p.Child("nodeName"), *e.NodeName, validation.IsDNS1123Subdomain(*e.NodeName))...)
		}
		if e.Hostname != nil {
			errs = append(errs, check.Invalid(p.Child("hostname"), *e.Hostname, validation.IsDNS1123Label(*e.Hostname))...)
		}
		if e.Hints != nil {
			errs = append(errs, validateHints(e.Hints, p.Child("hints"))...)
		}
		if len(e.DeprecatedTopology) > 0 {
			errs = append(errs, field.Forbidden(p.Child("deprecatedTopology"), support.NotSupported))
		}
	}
	return errs
}

// validateHints checks where an endpoint is best used. Who does not know of zones
// uses it everywhere, as the proxies here do.
func validateHints(h *discoveryv1.EndpointHints, path *field.Path) field.ErrorList {
	zones, nodes := make([]string, len(h.ForZones)), make([]string, len(h.ForNodes))
	for i, z := range h.ForZones {
		zones[i] = z.Name
	}
	for i, n := range h.ForNodes {
		nodes[i] = n.Name
	}
	errs := validateHintNames(zones, path.Child("forZones"), validation.IsValidLabelValue)
	return append(errs, validateHintNames(nodes, path.Child("forNodes"), validation.IsDNS1123Subdomain)...)
}

func validateHintNames(names []string, path *field.Path, valid func(string) []string) field.ErrorList {
	if len(names) > maxHints {
		return field.ErrorList{field.TooMany(path, len(names), maxHints)}
	}
	var errs field.ErrorList
	for i, name := range names {
		p := path.Index(i).Child("name")
		if slices.Contains(names[:i], name) {
			errs = append(errs, field.Duplicate(p, name))
		}
		errs = append(errs, check.Invalid(p, name, valid(name))...)
	}
	return errs
}

func validateSliceAddress(t discoveryv1.AddressType, address string, path *field.Path) field.ErrorList {
	if t == discoveryv1.AddressTypeFQDN {
		return validation.IsFullyQualifiedDomainName(path, address)
	}
	if errs := validation.IsValidIP(path, address); len(errs) > 0 {
		return errs
	}
	ip, _ := netip.ParseAddr(address)
	switch {
	case t == discoveryv1.AddressTypeIPv4 && !ip.Is4():
		return field.ErrorList{field.Invalid(path, address, "must be an IPv4 address")}
	case t == discoveryv1.AddressTypeIPv6 && !ip.Is6():
		return field.ErrorList{field.Invalid(path, address, "must be an IPv6 address")}
	}
	return validateEndpointIP(address, path)
}

func validateSlicePorts(ports []discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if len(ports) > maxSlicePorts {
		return field.ErrorList{field.TooMany(path, len(ports), maxSlicePorts)}
	}
	var errs field.ErrorList
	names := map[string]bool{}
	for i, port := range ports {
		p := path.Index(i)
		if port.Name != nil {
			if *port.Name != "" {
				errs = append(errs, check.Invalid(p.Child("name"), *port.Name, validation.IsDNS1123Label(*port.Name))...)
			}
			if names[*port.Name] {
				errs = append(errs, field.Duplicate(p.Child("name"), *port.Name))
			}
			names[*port.Name] = true
		}
		if port.Port != nil {
			errs = append(errs, check.Invalid(p.Child("port"), *port.Port, validation.IsValidPortNum(int(*port.Port)))...)
		}
		if port.Protocol == nil {
			errs = append(errs, field.Required(p.Child("protocol"), ""))
		} else {
			errs = append(errs, check.OneOf(p.Child("protocol"), *port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		}
		if port.AppProtocol != nil {
			errs = append(errs, check.Invalid(p.Child("appProtocol"), *port.AppProtocol, validation.IsQualifiedName(*port.AppProtocol))...)
		}
	}
	return errs
}

func validateEndpointSliceUpdate(obj, old *discoveryv1.EndpointSlice) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.AddressType, old.AddressType, field.NewPath("addressType"))
}
