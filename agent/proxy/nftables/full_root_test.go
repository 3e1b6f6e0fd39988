//go:build root

package nftables_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	kernel "github.com/google/nftables"
	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestFullMemory fills the map of clients: who comes then is served all the
// same, and by one endpoint.
func TestFullMemory(t *testing.T) {
	node := nettest.New(t, "node")
	members := map[*nettest.Namespace]netip.Prefix{node: netip.MustParsePrefix("192.168.77.5/24")}
	rules := proxy.Rules{ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		Services: []proxy.Service{{Name: "default/whoami:", Protocol: proxy.TCP, ClusterIP: netip.MustParseAddr("10.96.7.7"),
			Port: 80, Affinity: time.Hour}}}
	var servers []*nettest.Namespace
	for i := range 3 {
		server := nettest.New(t, fmt.Sprintf("server%d", i))
		members[server] = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 77, byte(10 + i)}), 24)
		servers = append(servers, server)
	}
	nettest.Switch(t, members)
	for _, server := range servers {
		at := netip.AddrPortFrom(members[server].Addr(), 8080)
		server.Serve(t, at)
		rules.Services[0].Endpoints = append(rules.Services[0].Endpoints, at)
	}
	node.Do(t, func() error {
		// A route, so that the kernel gets as far as choosing.
		if err := netlink.RouteAdd(&netlink.Route{Gw: rules.Services[0].Endpoints[0].Addr().AsSlice()}); err != nil {
			return err
		}
		a, err := nftables.New(nftables.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		if err := a.Sync(t.Context(), rules); err != nil {
			return err
		}
		return fillClients(rules.Services[0].ClusterIP)
	})
	seen := map[string]int{}
	for range 20 {
		answer, err := node.Ask("tcp4", netip.AddrPortFrom(rules.Services[0].ClusterIP, 80), 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		seen[answer.Server]++
	}
	if len(seen) != 1 {
		t.Errorf("%v answered one client, want one server", seen)
	}
	// The last rule would give everybody the first endpoint; this client's hash
	// leads to another.
	if seen["server0"] > 0 {
		t.Error("the first endpoint answered, want that of the hash")
	}
	node.Do(t, func() error {
		a, err := nftables.New(nftables.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		start := time.Now()
		if err := a.Sync(t.Context(), rules); err != nil {
			return err
		}
		t.Logf("a new process took the full map over in %s", time.Since(start))
		conn, set, err := clients()
		if err != nil {
			return err
		}
		elements, err := conn.GetSetElements(set)
		// Not all: the kernel still makes the map larger after so many came at once,
		// and leaves some out of its list meanwhile.
		if len(elements) < int(set.Size)/2 {
			t.Errorf("it has %d clients, want most of %d", len(elements), set.Size)
		}
		return err
	})
}

func clients() (*kernel.Conn, *kernel.Set, error) {
	conn, err := kernel.New()
	if err != nil {
		return nil, nil, err
	}
	set, err := conn.GetSetByName(&kernel.Table{Name: "muster-proxy", Family: kernel.TableFamilyIPv4}, "clients")
	return conn, set, err
}

// fillClients adds clients of the address until the map takes no more.
func fillClients(vip netip.Addr) error {
	conn, set, err := clients()
	if err != nil {
		return err
	}
	add := func(numbers ...uint32) error {
		var elements []kernel.SetElement
		for _, n := range numbers {
			key := binary.BigEndian.AppendUint32(nil, 172<<24|n) // 172.x.x.x
			key = append(key, vip.AsSlice()...)
			key = append(key, unix.IPPROTO_TCP, 0, 0, 0, 0, 80, 0, 0)
			elements = append(elements, kernel.SetElement{Key: key, Val: make([]byte, 4), Timeout: time.Hour})
		}
		if err := conn.SetAddElements(set, elements); err != nil {
			return err
		}
		return conn.Flush()
	}
	var all []uint32
	for n := range set.Size {
		all = append(all, n)
	}
	for part := range slices.Chunk(all, 256) {
		if err := add(part...); err != nil {
			return err
		}
	}
	if err := add(set.Size); !errors.Is(err, unix.ENFILE) {
		return fmt.Errorf("the map is not full: one more client: %w", err)
	}
	return nil
}
