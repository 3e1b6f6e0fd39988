//go:build root && ipvs

package ipvs_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	kernel "github.com/moby/ipvs"
	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
	"golang.org/x/sys/unix"
)

// TestForeignServersStay puts virtual servers of somebody else on the node's
// address, among the node ports too.
func TestForeignServersStay(t *testing.T) {
	nodeIP := netip.MustParseAddr("192.168.77.1")
	with := proxy.Rules{NodeAddresses: []netip.Addr{nodeIP},
		ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		Services: []proxy.Service{{Name: "default/whoami:", Protocol: proxy.TCP, ClusterIP: netip.MustParseAddr("10.96.7.7"),
			Port: 80, NodePort: 30080, Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.244.1.2:8000")}}}}
	without := with
	without.Services = nil
	foreign := []string{"virtual server 192.168.77.1:31999", "virtual server 192.168.77.1:9000"}
	ours := []string{"virtual server 10.96.7.7:80", "virtual server 192.168.77.1:30080"}
	expect := func(step string, want ...string) {
		t.Helper()
		got, err := leftovers()
		got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "virtual") })
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v; want %q", step, got, err, want)
		}
	}
	nettest.New(t, "node").Do(t, func() error {
		if err := addServers(nodeIP, 31999, 9000); err != nil {
			return err
		}
		for _, rules := range []proxy.Rules{with, without, with} {
			applier, err := newApplier() // each time a new process
			if err != nil {
				return err
			}
			if err := applier.Sync(t.Context(), rules); err != nil {
				return err
			}
			if rules.Services == nil {
				expect("without the service", foreign...)
			} else {
				expect("with the service", slices.Concat(foreign, ours)...)
			}
		}
		applier, err := newApplier()
		if err != nil {
			return err
		}
		err = applier.Cleanup(t.Context())
		expect("after the cleanup", foreign...)
		return err
	})
}

func addServers(addr netip.Addr, ports ...uint16) error {
	handle, err := kernel.New("")
	if err != nil {
		return err
	}
	defer handle.Close()
	for _, port := range ports {
		if err := handle.NewService(&kernel.Service{Address: addr.AsSlice(), Protocol: unix.IPPROTO_TCP, Port: port,
			AddressFamily: unix.AF_INET, SchedName: kernel.RoundRobin, Netmask: 0xffffffff}); err != nil {
			return err
		}
	}
	return nil
}
