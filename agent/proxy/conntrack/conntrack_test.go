package conntrack

import (
	"net/netip"
	"testing"

	"github.com/musterhq/muster/agent/proxy"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	one = netip.MustParseAddrPort("10.244.1.2:8080")
	two = netip.MustParseAddrPort("10.244.2.2:8080")
	vip = netip.MustParseAddrPort("10.96.0.7:80")
)

func rules(protocol proxy.Protocol, targets ...netip.AddrPort) proxy.Rules {
	return proxy.Rules{Services: []proxy.Service{{Protocol: protocol, ClusterIP: vip.Addr(), Port: vip.Port(), Endpoints: targets}}}
}

func TestTheTableIsReadOnlyWhenFlowsCanBeStale(t *testing.T) {
	for _, test := range []struct {
		name     string
		old, now proxy.Rules
		want     bool
	}{
		{"nothing changed", rules(proxy.TCP, one), rules(proxy.TCP, one), false},
		{"an endpoint came", rules(proxy.TCP, one), rules(proxy.TCP, one, two), false},
		{"an endpoint left", rules(proxy.TCP, one, two), rules(proxy.TCP, one), true},
		{"one for another", rules(proxy.UDP, one), rules(proxy.UDP, two), true},
		{"the service left", rules(proxy.TCP, one), proxy.Rules{}, true},
		{"an unknown past", proxy.Rules{}, rules(proxy.TCP, one), true},
		{"a first UDP service", rules(proxy.TCP, one), rules(proxy.UDP, one), true},
	} {
		if got := disturbed(fronts(test.old), fronts(test.now)); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestOnlyWhatNobodyAnswersIsStale(t *testing.T) {
	flow := func(protocol, state uint8, to, from netip.AddrPort) *netlink.ConntrackFlow {
		f := &netlink.ConntrackFlow{
			Forward: netlink.IPTuple{Protocol: protocol, DstIP: to.Addr().AsSlice(), DstPort: to.Port()},
			Reverse: netlink.IPTuple{SrcIP: from.Addr().AsSlice(), SrcPort: from.Port()},
		}
		if protocol == unix.IPPROTO_TCP {
			f.ProtoInfo = &netlink.ProtoInfoTCP{State: state}
		}
		return f
	}
	const established = 3
	tcp, udp := stale(fronts(rules(proxy.TCP, two))), stale(fronts(rules(proxy.UDP, two)))
	for _, test := range []struct {
		name   string
		filter stale
		flow   *netlink.ConntrackFlow
		want   bool
	}{
		{"an attempt to what left", tcp, flow(unix.IPPROTO_TCP, synSent, vip, one), true},
		{"an attempt to what is there", tcp, flow(unix.IPPROTO_TCP, synSent, vip, two), false},
		{"a connection to what left", tcp, flow(unix.IPPROTO_TCP, established, vip, one), false},
		{"an attempt to somebody else", tcp, flow(unix.IPPROTO_TCP, synSent, one, one), false},
		{"a UDP flow to what left", udp, flow(unix.IPPROTO_UDP, 0, vip, one), true},
		{"a UDP flow to what is there", udp, flow(unix.IPPROTO_UDP, 0, vip, two), false},
		{"an attempt where only UDP is served", udp, flow(unix.IPPROTO_TCP, synSent, vip, one), false},
	} {
		if got := test.filter.MatchConntrackFlow(test.flow); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
