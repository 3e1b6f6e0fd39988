package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Options are what a node knows of itself.
type Options struct {
	NodeName      string
	NodeAddresses []netip.Addr
	ClusterCIDR   netip.Prefix
	ServiceCIDR   netip.Prefix
	// SelfServed are addresses of services that the node itself answers, such as
	// the cluster's DNS: there are no rules for them.
	SelfServed []netip.Addr
}

// defaultAffinity is Kubernetes' timeout for ClientIP affinity that names none.
const defaultAffinity = 3 * time.Hour

type serviceKey struct{ namespace, name string }

// Compute turns Services and their EndpointSlices into the rules of one node.
// It is pure, and its result does not depend on the order of its arguments.
func Compute(services []*corev1.Service, endpointSlices []*discoveryv1.EndpointSlice, node Options) Rules {
	rules := Rules{
		NodeAddresses: slices.SortedFunc(slices.Values(node.NodeAddresses), netip.Addr.Compare),
		ClusterCIDR:   node.ClusterCIDR,
		ServiceCIDR:   node.ServiceCIDR,
	}
	rules.NodeAddresses = slices.Compact(rules.NodeAddresses)
	byService := make(map[serviceKey][]*discoveryv1.EndpointSlice, len(services))
	for _, s := range endpointSlices {
		if s.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		key := serviceKey{s.Namespace, s.Labels[discoveryv1.LabelServiceName]}
		byService[key] = append(byService[key], s)
	}
	for _, s := range services {
		if addr, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil && slices.Contains(node.SelfServed, addr) {
			continue
		}
		rules.Services = append(rules.Services, computeService(s, byService[serviceKey{s.Namespace, s.Name}], node.NodeName)...)
	}
	slices.SortFunc(rules.Services, compareServices)
	return rules
}

func compareServices(a, b Service) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Port, b.Port), a.ClusterIP.Compare(b.ClusterIP), cmp.Compare(a.NodePort, b.NodePort))
}

func computeService(s *corev1.Service, endpointSlices []*discoveryv1.EndpointSlice, nodeName string) []Service {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	clusterIP, err := netip.ParseAddr(s.Spec.ClusterIP)
	if err != nil || !clusterIP.Is4() {
		return nil // headless, or no address yet
	}
	var out []Service
	for i := range s.Spec.Ports {
		out = append(out, computePort(s, &s.Spec.Ports[i], clusterIP, endpointSlices, nodeName)...)
	}
	return out
}

// computePort gives one Service, or two where the traffic policies make the
// node port's endpoints differ from the cluster address's.
func computePort(s *corev1.Service, port *corev1.ServicePort, clusterIP netip.Addr, endpointSlices []*discoveryv1.EndpointSlice, nodeName string) []Service {
	protocol, ok := protocolOf(port.Protocol)
	if !ok {
		return nil
	}
	var all, local endpointSet
	for _, slice := range endpointSlices {
		target, ok := targetPort(slice, port)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			all.add(e, target)
			if e.NodeName != nil && *e.NodeName == nodeName {
				local.add(e, target)
			}
		}
	}
	service := Service{
		Name:      s.Namespace + "/" + s.Name + ":" + port.Name,
		Protocol:  protocol,
		ClusterIP: clusterIP,
		Port:      uint16(port.Port),
		Affinity:  affinityOf(s),
	}
	internalLocal := s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal
	externalLocal := s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	if internalLocal {
		service.Endpoints, service.Draining = local.choose()
	} else {
		service.Endpoints, service.Draining = all.choose()
	}
	nodePort := uint16(port.NodePort)
	if nodePort == 0 || s.Spec.Type == corev1.ServiceTypeClusterIP {
		return []Service{service}
	}
	if internalLocal == externalLocal && !externalLocal {
		service.NodePort = nodePort
		return []Service{service}
	}
	outside := service
	outside.ClusterIP, outside.Port, outside.NodePort = netip.Addr{}, 0, nodePort
	outside.PreserveSource = externalLocal
	if externalLocal {
		outside.Endpoints, outside.Draining = local.choose()
	} else {
		outside.Endpoints, outside.Draining = all.choose()
	}
	return []Service{service, outside}
}

func protocolOf(p corev1.Protocol) (Protocol, bool) {
	switch p {
	case corev1.ProtocolTCP, "":
		return TCP, true
	case corev1.ProtocolUDP:
		return UDP, true
	default:
		return "", false
	}
}

func affinityOf(s *corev1.Service) time.Duration {
	if s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return time.Duration(*c.ClientIP.TimeoutSeconds) * time.Second
	}
	return defaultAffinity
}

// targetPort finds the slice's number for a service's port. Slices carry the
// service port's name, so target ports named in pods are resolved already.
func targetPort(slice *discoveryv1.EndpointSlice, port *corev1.ServicePort) (uint16, bool) {
	for _, p := range slice.Ports {
		name, protocol := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		want := cmp.Or(port.Protocol, corev1.ProtocolTCP)
		if name == port.Name && protocol == want && p.Port != nil {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

// endpointSet sorts a service port's endpoints by what they may be used for.
type endpointSet struct{ ready, serving, terminating []netip.AddrPort }

func (s *endpointSet) add(e *discoveryv1.Endpoint, port uint16) {
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	terminating := e.Conditions.Terminating != nil && *e.Conditions.Terminating
	serving := ready
	if e.Conditions.Serving != nil {
		serving = *e.Conditions.Serving
	}
	for _, a := range e.Addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil || !addr.Is4() {
			continue
		}
		target := netip.AddrPortFrom(addr, port)
		switch {
		case ready:
			s.ready = append(s.ready, target)
		case terminating && serving:
			s.serving = append(s.serving, target)
		case terminating:
			s.terminating = append(s.terminating, target)
		}
	}
}

// choose gives the endpoints for new connections (those that terminate and
// still serve when there is no ready one) and those that only drain.
func (s *endpointSet) choose() (use, drain []netip.AddrPort) {
	ready, serving := normalize(s.ready), normalize(s.serving)
	if len(ready) == 0 {
		return serving, without(normalize(s.terminating), serving)
	}
	return ready, without(normalize(append(slices.Clone(s.serving), s.terminating...)), ready)
}

func normalize(in []netip.AddrPort) []netip.AddrPort {
	return slices.Compact(slices.SortedFunc(slices.Values(in), netip.AddrPort.Compare))
}

func without(in, remove []netip.AddrPort) []netip.AddrPort {
	return slices.DeleteFunc(in, func(a netip.AddrPort) bool { return slices.Contains(remove, a) })
}
