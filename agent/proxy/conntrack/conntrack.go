// Package conntrack removes the connections that the kernel would keep sending
// to endpoints that are gone: all of UDP, which knows no end, and those of TCP
// that nobody has answered yet. A client repeats an attempt after 1, 3 and 7
// seconds, but the kernel sends it where the first one went: of a dead node's
// endpoint it would have none of the others. What is established stays, so that
// an endpoint that leaves can finish its work.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/musterhq/muster/agent/proxy"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// synSent is TCP_CONNTRACK_SYN_SENT of linux/netfilter/nf_conntrack_tcp.h.
const synSent = 1

// DeleteStale deletes the flows to the services of old and rules that go to
// what is not an endpoint in rules. It does nothing where no endpoint has left;
// give the zero Rules for an unknown past.
func DeleteStale(old, rules proxy.Rules) error {
	before, now := fronts(old), fronts(rules)
	if !disturbed(before, now) {
		return nil
	}
	for f := range before {
		if _, ok := now[f]; !ok {
			now[f] = nil
		}
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, stale(now))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete stale conntrack entries: %w", err)
	}
	return nil
}

// front is where a service answers.
type front struct {
	protocol uint8
	addr     netip.AddrPort
}

type endpoints map[netip.AddrPort]bool

func fronts(rules proxy.Rules) map[front]endpoints {
	out := map[front]endpoints{}
	for _, s := range rules.Services {
		protocol := uint8(unix.IPPROTO_TCP)
		if s.Protocol == proxy.UDP {
			protocol = unix.IPPROTO_UDP
		}
		targets := endpoints{}
		for _, e := range s.Endpoints {
			targets[e] = true
		}
		if s.ClusterIP.IsValid() {
			out[front{protocol, netip.AddrPortFrom(s.ClusterIP, s.Port)}] = targets
		}
		if s.NodePort == 0 {
			continue
		}
		for _, a := range rules.NodeAddresses {
			out[front{protocol, netip.AddrPortFrom(a, s.NodePort)}] = targets
		}
	}
	return out
}

// disturbed says whether flows can be stale: the kernel's table may be long, and
// is read whole.
func disturbed(before, now map[front]endpoints) bool {
	for f, targets := range before {
		for e := range targets {
			if !now[f][e] {
				return true
			}
		}
	}
	for f := range now {
		if _, known := before[f]; !known && (f.protocol == unix.IPPROTO_UDP || len(before) == 0) {
			return true
		}
	}
	return false
}

// stale matches flows to a front whose answers come from no present endpoint.
type stale map[front]endpoints

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s stale) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if tcp, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP); ok && tcp.State != synSent {
		return false
	}
	to, ok := netip.AddrFromSlice(flow.Forward.DstIP)
	from, ok2 := netip.AddrFromSlice(flow.Reverse.SrcIP)
	if !ok || !ok2 {
		return false
	}
	targets, ours := s[front{flow.Forward.Protocol, netip.AddrPortFrom(to.Unmap(), flow.Forward.DstPort)}]
	return ours && !targets[netip.AddrPortFrom(from.Unmap(), flow.Reverse.SrcPort)]
}
