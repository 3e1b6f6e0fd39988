package node

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// NextCIDR returns the first network of the given prefix length within the
// cluster's that no node has. The nodes have to be all there are.
func NextCIDR(cluster netip.Prefix, bits int, nodes []*corev1.Node) (netip.Prefix, error) {
	cluster = cluster.Masked()
	if bits < cluster.Bits() || bits > cluster.Addr().BitLen() {
		return netip.Prefix{}, fmt.Errorf("assign pod network: /%d does not fit into %s", bits, cluster)
	}
	taken := takenCIDRs(nodes)
	for p := netip.PrefixFrom(cluster.Addr(), bits); p.IsValid() && cluster.Contains(p.Addr()); p = after(p) {
		free := true
		for _, t := range taken {
			if t.Overlaps(p) {
				free = false
				break
			}
		}
		if free {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("assign pod network: no /%d is left in %s", bits, cluster)
}

func takenCIDRs(nodes []*corev1.Node) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range nodes {
		for _, s := range append([]string{n.Spec.PodCIDR}, n.Spec.PodCIDRs...) {
			if p, err := netip.ParsePrefix(s); err == nil {
				out = append(out, p.Masked())
			}
		}
	}
	return out
}

// after returns the network that follows p; an invalid one after the last.
func after(p netip.Prefix) netip.Prefix {
	raw := p.Addr().AsSlice()
	bit := p.Bits() - 1
	for ; bit >= 0; bit-- {
		mask := byte(0x80 >> (bit % 8))
		raw[bit/8] ^= mask
		if raw[bit/8]&mask != 0 {
			break // No carry.
		}
	}
	if bit < 0 {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.PrefixFrom(addr, p.Bits())
}
