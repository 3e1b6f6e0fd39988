package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// The indexes that lookups use.
const (
	indexService   = "dns-service"   // of EndpointSlices: namespace/service
	indexAddress   = "dns-address"   // of both: an IP address
	indexNamespace = "dns-namespace" // of Services
)

// Indexed is what indexes are added to; informers are.
type Indexed[T any] interface {
	AddIndex(name string, values func(T) []string)
}

// AddIndexes gives informers the indexes that a Server uses. It is called
// before they run.
func AddIndexes(services Indexed[*corev1.Service], endpointSlices Indexed[*discoveryv1.EndpointSlice]) {
	services.AddIndex(indexNamespace, func(s *corev1.Service) []string { return []string{s.Namespace} })
	services.AddIndex(indexAddress, func(s *corev1.Service) []string {
		if addr, ok := clusterIP(s); ok {
			return []string{addr.String()}
		}
		return nil
	})
	endpointSlices.AddIndex(indexService, func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	endpointSlices.AddIndex(indexAddress, func(s *discoveryv1.EndpointSlice) []string {
		var out []string
		for i := range s.Endpoints {
			out = append(out, s.Endpoints[i].Addresses...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	})
}

func clusterIP(s *corev1.Service) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s.Spec.ClusterIP)
	return addr, err == nil && addr.Is4()
}

// endpoint is one address of a service with a port.
type endpoint struct {
	name string // its label below the service's name
	addr netip.Addr
	port uint16
}

// service answers the names below svc.<domain>, whose labels are given without
// "svc".
func (z zone) service(q dns.Question, labels []string) result {
	switch len(labels) {
	case 0:
		return result{}
	case 1:
		if len(z.services.ByIndex(indexNamespace, labels[0])) == 0 {
			return notFound
		}
		return result{}
	}
	namespace, name := labels[len(labels)-1], labels[len(labels)-2]
	s, ok := z.services.Get(namespace, name)
	if !ok {
		return notFound
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		if len(labels) > 2 {
			return notFound
		}
		target := dns.Fqdn(s.Spec.ExternalName)
		return result{alias: target, answer: []dns.RR{&dns.CNAME{Hdr: header(q.Name, dns.TypeCNAME), Target: target}}}
	}
	switch len(labels) {
	case 2:
		return z.serviceName(q, s)
	case 3:
		return z.belowService(q, s, labels[0])
	case 4:
		return z.port(q, s, labels[0], labels[1])
	default:
		return notFound
	}
}

// serviceName answers <service>.<namespace>.svc.
func (z zone) serviceName(q dns.Question, s *corev1.Service) result {
	if q.Qtype == dns.TypeSRV {
		var r result
		for i := range s.Spec.Ports {
			z.addSRV(&r, q, s, &s.Spec.Ports[i])
		}
		return r
	}
	if addr, ok := clusterIP(s); ok {
		if q.Qtype != dns.TypeA {
			return result{}
		}
		return result{answer: []dns.RR{address(q.Name, addr)}}
	}
	addrs := z.addresses(s, func(string) bool { return true })
	if len(addrs) == 0 {
		return notFound // a headless service without pods has no name
	}
	return addressesResult(q, addrs)
}

// belowService answers <endpoint>.<service>.<namespace>.svc, and that the parent
// of a port's name exists.
func (z zone) belowService(q dns.Question, s *corev1.Service, label string) result {
	if protocol, ok := strings.CutPrefix(label, "_"); ok {
		for i := range s.Spec.Ports {
			if strings.EqualFold(string(s.Spec.Ports[i].Protocol), protocol) {
				return result{}
			}
		}
		return notFound
	}
	addrs := z.addresses(s, func(name string) bool { return name == label })
	if len(addrs) == 0 {
		return notFound
	}
	return addressesResult(q, addrs)
}

func addressesResult(q dns.Question, addrs []netip.Addr) result {
	var r result
	if q.Qtype == dns.TypeA {
		for _, a := range addrs {
			r.answer = append(r.answer, address(q.Name, a))
		}
	}
	return r
}

// port answers _port._protocol.<service>.<namespace>.svc.
func (z zone) port(q dns.Question, s *corev1.Service, port, protocol string) result {
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Name == "" || "_"+p.Name != port || !strings.EqualFold("_"+string(p.Protocol), protocol) {
			continue
		}
		if q.Qtype != dns.TypeSRV {
			return result{}
		}
		var r result
		z.addSRV(&r, q, s, p)
		return r
	}
	return notFound
}

// addSRV adds a port's records: one of the service, or one for each endpoint of
// a headless service, with their addresses.
func (z zone) addSRV(r *result, q dns.Question, s *corev1.Service, port *corev1.ServicePort) {
	base := s.Name + "." + s.Namespace + ".svc." + z.domain
	add := func(target string, number uint16, addr netip.Addr) {
		r.answer = append(r.answer, &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Weight: 100, Port: number, Target: target})
		r.extra = append(r.extra, address(target, addr))
	}
	if addr, ok := clusterIP(s); ok {
		add(base, uint16(port.Port), addr)
		return
	}
	for _, e := range z.endpoints(s, port) {
		add(e.name+"."+base, e.port, e.addr)
	}
}

// slicesOf are the IPv4 slices of a service.
func (z zone) slicesOf(s *corev1.Service) []*discoveryv1.EndpointSlice {
	all := slices.Clone(z.slices.ByIndex(indexService, s.Namespace+"/"+s.Name))
	return slices.DeleteFunc(all, func(e *discoveryv1.EndpointSlice) bool {
		return e.AddressType != discoveryv1.AddressTypeIPv4
	})
}

// addresses of a service's endpoints whose name is wanted, each once.
func (z zone) addresses(s *corev1.Service, wanted func(name string) bool) []netip.Addr {
	var out []netip.Addr
	for _, slice := range z.slicesOf(s) {
		for i := range slice.Endpoints {
			for _, a := range published(s, &slice.Endpoints[i]) {
				if wanted(endpointName(&slice.Endpoints[i], a)) {
					out = append(out, a)
				}
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// endpoints of one port of a headless service.
func (z zone) endpoints(s *corev1.Service, port *corev1.ServicePort) []endpoint {
	var out []endpoint
	for _, slice := range z.slicesOf(s) {
		number, ok := portNumber(slice, port.Name)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			for _, a := range published(s, &slice.Endpoints[i]) {
				out = append(out, endpoint{endpointName(&slice.Endpoints[i], a), a, number})
			}
		}
	}
	return out
}

func portNumber(slice *discoveryv1.EndpointSlice, name string) (uint16, bool) {
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

// published are an endpoint's addresses if they may be answered.
func published(s *corev1.Service, e *discoveryv1.Endpoint) []netip.Addr {
	if ready := e.Conditions.Ready; ready != nil && !*ready && !s.Spec.PublishNotReadyAddresses {
		return nil
	}
	var out []netip.Addr
	for _, a := range e.Addresses {
		if addr, err := netip.ParseAddr(a); err == nil && addr.Is4() {
			out = append(out, addr)
		}
	}
	return out
}

// endpointName is the endpoint's hostname, or its address with dashes.
func endpointName(e *discoveryv1.Endpoint, a netip.Addr) string {
	if e.Hostname != nil && *e.Hostname != "" {
		return strings.ToLower(*e.Hostname)
	}
	return strings.ReplaceAll(a.String(), ".", "-")
}

// endpointNames are the full names of an address in a slice of a headless service.
func (z zone) endpointNames(slice *discoveryv1.EndpointSlice, addr netip.Addr) []string {
	s, ok := z.services.Get(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName])
	if !ok || s.Spec.ClusterIP != corev1.ClusterIPNone {
		return nil
	}
	var out []string
	for i := range slice.Endpoints {
		e := &slice.Endpoints[i]
		if slices.Contains(published(s, e), addr) {
			out = append(out, endpointName(e, addr)+"."+s.Name+"."+s.Namespace+".svc."+z.domain)
		}
	}
	return out
}
