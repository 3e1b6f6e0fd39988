package service

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// The tables that service claims are in.
const (
	ClusterIPTable = "_clusterips"
	NodePortTable  = "_nodeports"
)

const (
	ipTaken   = "provided IP is already allocated"
	portTaken = "provided port is already allocated"
)

// serviceAllocator gives services their cluster IPs and node ports.
type serviceAllocator struct {
	cidr  netip.Prefix
	ports registry.PortRange
	// reserved addresses belong to one service each, whether it exists or not.
	reserved map[netip.Addr]string
}

func newServiceAllocator(o registry.Options) *serviceAllocator {
	a := &serviceAllocator{cidr: o.ServiceCIDR.Masked(), ports: o.NodePorts}
	a.reserved = map[netip.Addr]string{
		a.address(1):  "default/kubernetes",
		a.address(10): "kube-system/kube-dns",
	}
	return a
}

// claims names what the service holds.
func (a *serviceAllocator) claims(obj *corev1.Service) []registry.Claim {
	var list []registry.Claim
	if wantsClusterIP(obj.Spec.Type) {
		for _, ip := range obj.Spec.ClusterIPs {
			if ip != "" && ip != corev1.ClusterIPNone {
				list = append(list, registry.Claim{Table: ClusterIPTable, Value: ip})
			}
		}
	}
	if externalType(obj.Spec.Type) {
		for _, p := range obj.Spec.Ports {
			if c := portClaim(p.Protocol, p.NodePort); p.NodePort != 0 && !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list
}

func portClaim(protocol corev1.Protocol, port int32) registry.Claim {
	return registry.Claim{Table: NodePortTable, Value: fmt.Sprintf("%s/%d", protocol, port)}
}

// claimTaken words what Kubernetes says when a value is another object's.
func (a *serviceAllocator) claimTaken(obj *corev1.Service, c registry.Claim, _ string) error {
	if c.Table == NodePortTable {
		for i, p := range obj.Spec.Ports {
			if portClaim(p.Protocol, p.NodePort) == c {
				return field.Invalid(nodePortPath(i), p.NodePort, portTaken)
			}
		}
	}
	return ipError(obj, c.Value, ipTaken)
}

func nodePortPath(i int) *field.Path {
	return field.NewPath("spec", "ports").Index(i).Child("nodePort")
}

func ipError(obj *corev1.Service, ip, why string) *field.Error {
	return field.Invalid(field.NewPath("spec", "clusterIPs"), obj.Spec.ClusterIPs, fmt.Sprintf("failed to allocate IP %v: %s", ip, why))
}

func (a *serviceAllocator) allocate(obj, old *corev1.Service, taken func(registry.Claim) bool, pick func(int) int) *field.Error {
	if wantsClusterIP(obj.Spec.Type) {
		if err := a.allocateIP(obj, old, taken, pick); err != nil {
			return err
		}
	}
	if !externalType(obj.Spec.Type) {
		return nil
	}
	return a.allocatePorts(obj, old, taken, pick)
}

func (a *serviceAllocator) allocateIP(obj, old *corev1.Service, taken func(registry.Claim) bool, pick func(int) int) *field.Error {
	spec := &obj.Spec
	if spec.ClusterIP == "" && len(spec.ClusterIPs) > 0 {
		spec.ClusterIP = spec.ClusterIPs[0]
	}
	switch {
	case spec.ClusterIP == corev1.ClusterIPNone:
		return nil
	case spec.ClusterIP == "":
		return a.pickIP(obj, taken, pick)
	case old != nil && old.Spec.ClusterIP == spec.ClusterIP:
		return nil
	}
	ip, err := netip.ParseAddr(spec.ClusterIP)
	if err != nil {
		// What is no address is refused by validation.
		return nil
	}
	if !a.usable(ip) {
		return ipError(obj, spec.ClusterIP, fmt.Sprintf(
			"the provided IP (%v) is not in the valid range. The range of valid IPs is %s", ip, a.cidr))
	}
	if owner := a.reserved[ip]; owner != "" && owner != obj.Namespace+"/"+obj.Name {
		return ipError(obj, spec.ClusterIP, ipTaken)
	}
	if taken(registry.Claim{Table: ClusterIPTable, Value: ip.String()}) {
		return ipError(obj, spec.ClusterIP, ipTaken)
	}
	return nil
}

func (a *serviceAllocator) pickIP(obj *corev1.Service, taken func(registry.Claim) bool, pick func(int) int) *field.Error {
	// The first address is the network's, the last is the broadcast.
	size := a.size()
	free := func(n int) bool {
		ip := a.address(n)
		return a.reserved[ip] == "" && !taken(registry.Claim{Table: ClusterIPTable, Value: ip.String()})
	}
	n, ok := pickFrom(1, staticBand(size, 16, 256), size-1, free, pick)
	if !ok {
		return field.InternalError(field.NewPath("spec", "clusterIPs"), fmt.Errorf("failed to allocate a serviceIP: range is full"))
	}
	ip := a.address(n).String()
	obj.Spec.ClusterIP, obj.Spec.ClusterIPs = ip, []string{ip}
	return nil
}

// pickFrom picks a free number: from [dynamic, end) at random first, and from
// [first, dynamic), kept for those who name their number, only when that is full.
func pickFrom(first, dynamic, end int, free func(int) bool, pick func(int) int) (int, bool) {
	dynamic = min(max(dynamic, first), end)
	for _, band := range [][2]int{{dynamic, end}, {first, dynamic}} {
		size := band[1] - band[0]
		if size <= 0 {
			continue
		}
		start := pick(size)
		for i := range size {
			if n := band[0] + (start+i)%size; free(n) {
				return n, true
			}
		}
	}
	return 0, false
}

// staticBand is how much of a range is kept for those who name their number
// (KEP-3070 and KEP-3668): a part of it, 16 at least, and none of a small range.
func staticBand(size, divisor, most int) int {
	if size <= 16 {
		return 0
	}
	return min(max(16, size/divisor), most)
}

// size is how many addresses the range has, as many as an int holds at most.
func (a *serviceAllocator) size() int {
	bits := a.cidr.Addr().BitLen() - a.cidr.Bits()
	return 1 << min(bits, 20)
}

// address is the nth address of the range.
func (a *serviceAllocator) address(n int) netip.Addr {
	raw := a.cidr.Addr().AsSlice()
	low := raw[len(raw)-4:]
	binary.BigEndian.PutUint32(low, binary.BigEndian.Uint32(low)+uint32(n))
	ip, _ := netip.AddrFromSlice(raw)
	return ip
}

func (a *serviceAllocator) usable(ip netip.Addr) bool {
	return a.cidr.Contains(ip) && ip != a.cidr.Addr() && (a.cidr.Contains(ip.Next()) || ip.Is6())
}

func (a *serviceAllocator) allocatePorts(obj, old *corev1.Service, taken func(registry.Claim) bool, pick func(int) int) *field.Error {
	held := func(port int32) bool {
		return taken(portClaim(corev1.ProtocolTCP, port)) || taken(portClaim(corev1.ProtocolUDP, port))
	}
	used := map[int32]bool{}
	for i, p := range obj.Spec.Ports {
		if p.NodePort == 0 {
			continue
		}
		used[p.NodePort] = true
		if old != nil && hasNodePort(old, p.NodePort) {
			continue
		}
		if !a.ports.Contains(p.NodePort) {
			return field.Invalid(nodePortPath(i), p.NodePort, fmt.Sprintf(
				"provided port is not in the valid range. The range of valid ports is %d-%d", a.ports.First, a.ports.Last))
		}
		if held(p.NodePort) {
			return field.Invalid(nodePortPath(i), p.NodePort, portTaken)
		}
	}
	if !allocatesNodePorts(obj) {
		return nil
	}
	for i := range obj.Spec.Ports {
		p := &obj.Spec.Ports[i]
		if p.NodePort != 0 {
			continue
		}
		if p.NodePort = sibling(obj, *p); p.NodePort != 0 {
			continue
		}
		size := a.ports.Size()
		n, ok := pickFrom(0, staticBand(size, 32, 128), size, func(n int) bool {
			port := a.ports.First + int32(n)
			return !used[port] && !held(port)
		}, pick)
		if !ok {
			return field.InternalError(nodePortPath(i), fmt.Errorf("failed to allocate a nodePort: range is full"))
		}
		p.NodePort = a.ports.First + int32(n)
		used[p.NodePort] = true
	}
	return nil
}

func hasNodePort(obj *corev1.Service, port int32) bool {
	return externalType(obj.Spec.Type) &&
		slices.ContainsFunc(obj.Spec.Ports, func(p corev1.ServicePort) bool { return p.NodePort == port })
}

// sibling finds the node port of the same port with the other protocol: TCP and
// UDP of one port share their number.
func sibling(obj *corev1.Service, port corev1.ServicePort) int32 {
	var found int32
	for _, p := range obj.Spec.Ports {
		switch {
		case p.NodePort == 0:
		case p.Port == port.Port && p.Protocol != port.Protocol:
			found = p.NodePort
		}
	}
	for _, p := range obj.Spec.Ports {
		if p.NodePort == found && p.Protocol == port.Protocol {
			return 0
		}
	}
	return found
}
