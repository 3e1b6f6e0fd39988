// Package conntrack removes the connections that the kernel would keep sending
// to endpoints that are gone. TCP needs no such help: its clients notice.
package conntrack

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/musterhq/muster/agent/proxy"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DeleteStale deletes the UDP flows to the services of old and rules that go to
// what is not an endpoint in rules. It does nothing where the UDP services are
// the same as before; give the zero Rules for an unknown past.
func DeleteStale(old, rules proxy.Rules) error {
	before, now := fronts(old), fronts(rules)
	if maps.EqualFunc(before, now, maps.Equal[endpoints, endpoints]) {
		return nil
	}
	for front := range before {
		if _, ok := now[front]; !ok {
			now[front] = nil
		}
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, stale(now))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete stale conntrack entries: %w", err)
	}
	return nil
}

type endpoints map[netip.AddrPort]bool

// fronts are the addresses and ports on which UDP services answer.
func fronts(rules proxy.Rules) map[netip.AddrPort]endpoints {
	out := map[netip.AddrPort]endpoints{}
	for _, s := range rules.Services {
		if s.Protocol != proxy.UDP {
			continue
		}
		targets := endpoints{}
		for _, e := range s.Endpoints {
			targets[e] = true
		}
		if s.ClusterIP.IsValid() {
			out[netip.AddrPortFrom(s.ClusterIP, s.Port)] = targets
		}
		if s.NodePort == 0 {
			continue
		}
		for _, a := range rules.NodeAddresses {
			out[netip.AddrPortFrom(a, s.NodePort)] = targets
		}
	}
	return out
}

// stale matches flows to a front whose answers come from no present endpoint.
type stale map[netip.AddrPort]endpoints

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s stale) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, ok := netip.AddrFromSlice(flow.Forward.DstIP)
	from, ok2 := netip.AddrFromSlice(flow.Reverse.SrcIP)
	if !ok || !ok2 {
		return false
	}
	targets, ours := s[netip.AddrPortFrom(to.Unmap(), flow.Forward.DstPort)]
	return ours && !targets[netip.AddrPortFrom(from.Unmap(), flow.Reverse.SrcPort)]
}
