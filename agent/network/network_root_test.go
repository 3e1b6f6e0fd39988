//go:build root

package network_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/musterhq/muster/agent/network"
	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type node struct {
	*nettest.Namespace
	cfg network.Config
	net *network.Network
}

func (n *node) start(t *testing.T) {
	t.Helper()
	var err error
	if n.net, err = network.New(n.cfg); err != nil {
		t.Fatal(err)
	}
	n.Do(t, func() error { return n.net.Setup(t.Context()) })
}

func (n *node) attach(t *testing.T, pod *nettest.Namespace) netip.Addr {
	t.Helper()
	var addr netip.Addr
	n.Do(t, func() (err error) {
		addr, err = n.net.Attach(t.Context(), pod.Name, pod.Path())
		return err
	})
	return addr
}

func (n *node) sync(t *testing.T, peers ...network.Peer) {
	t.Helper()
	n.Do(t, func() error { return n.net.SyncPeers(t.Context(), peers) })
}

// cluster makes two nodes that know each other and a machine outside.
func cluster(t *testing.T, overlay string) (a, b *node, outside *nettest.Namespace, peers []network.Peer) {
	t.Helper()
	outside = nettest.New(t, "outside")
	members := map[*nettest.Namespace]netip.Prefix{outside: netip.MustParsePrefix("192.168.77.9/24")}
	var nodes []*node
	for i := range 2 {
		ns := nettest.New(t, fmt.Sprintf("node%d", i+1))
		ip := netip.AddrFrom4([4]byte{192, 168, 77, byte(i + 1)})
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i + 1), 0}), 24)
		members[ns] = netip.PrefixFrom(ip, 24)
		nodes = append(nodes, &node{Namespace: ns, cfg: network.Config{PodCIDR: cidr,
			ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
			NodeIP: ip, StateDir: t.TempDir(), Overlay: overlay, Logger: slog.New(slog.DiscardHandler)}})
		peers = append(peers, network.Peer{Node: ns.Name, NodeIP: ip, PodCIDR: cidr})
	}
	nettest.Switch(t, members)
	for _, n := range nodes {
		n.start(t)
		n.sync(t, peers...)
	}
	return nodes[0], nodes[1], outside, peers
}

const port = 8080

// reach makes a request and wants the answer to have come from pod to address.
func reach(t *testing.T, from *nettest.Namespace, to, client netip.Addr) {
	t.Helper()
	answer, err := from.Ask("tcp4", netip.AddrPortFrom(to, port), 3*time.Second)
	if err != nil {
		t.Fatalf("from %s to %s: %v", from.Name, to, err)
	}
	if answer.Client.Addr() != client {
		t.Errorf("%s saw the client %s, want %s", to, answer.Client.Addr(), client)
	}
}

func TestPodsReachEachOther(t *testing.T) {
	for _, overlay := range []string{network.OverlayVXLAN, network.OverlayRoutes} {
		t.Run(overlay, func(t *testing.T) {
			a, b, outside, peers := cluster(t, overlay)
			pods := map[string]*nettest.Namespace{}
			addrs := map[string]netip.Addr{}
			for name, on := range map[string]*node{"a1": a, "a2": a, "b1": b} {
				pods[name] = nettest.New(t, name)
				addrs[name] = on.attach(t, pods[name])
				pods[name].Serve(t, netip.AddrPortFrom(addrs[name], port))
			}
			for from := range pods {
				for to := range pods {
					reach(t, pods[from], addrs[to], addrs[from])
				}
			}
			gateway := netip.MustParseAddr("10.244.1.1")
			reach(t, a.Namespace, addrs["a1"], gateway)
			if overlay == network.OverlayVXLAN {
				reach(t, a.Namespace, addrs["b1"], netip.MustParseAddr("10.244.1.0"))
			}
			outside.Serve(t, netip.MustParseAddrPort("192.168.77.9:8080"))
			reach(t, pods["a1"], netip.MustParseAddr("192.168.77.9"), a.cfg.NodeIP)
			reach(t, pods["b1"], netip.MustParseAddr("192.168.77.9"), b.cfg.NodeIP)

			a.sync(t, peers[0]) // the other node is gone
			if answer, err := pods["a1"].Ask("tcp4", netip.AddrPortFrom(addrs["b1"], port), 300*time.Millisecond); err == nil {
				t.Errorf("%s answered though its node is gone", answer.Server)
			}
			a.sync(t, peers...)
			reach(t, pods["a1"], addrs["b1"], addrs["a1"])
		})
	}
}

func TestAttachCanBeRepeatedAndSurvivesRestart(t *testing.T) {
	a, _, _, _ := cluster(t, network.OverlayVXLAN)
	one, two := nettest.New(t, "one"), nettest.New(t, "two")
	first := a.attach(t, one)
	one.Serve(t, netip.AddrPortFrom(first, port))
	if again := a.attach(t, one); again != first {
		t.Errorf("the second attachment gave %s, want %s", again, first)
	}
	a.start(t) // another process
	if again := a.attach(t, one); again != first {
		t.Errorf("after a restart %s, want %s", again, first)
	}
	second := a.attach(t, two)
	reach(t, two, first, second)
	got, err := a.net.Allocated()
	if want := map[string]netip.Addr{"one": first, "two": second}; err != nil || !maps.Equal(got, want) {
		t.Errorf("allocated %v, %v; want %v", got, err, want)
	}
	two.Do(t, func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil && link.Attrs().MTU != 1450 {
			err = fmt.Errorf("MTU %d, want 1450", link.Attrs().MTU)
		}
		return err
	})
	for range 2 {
		a.Do(t, func() error { return a.net.Detach(t.Context(), "two", "/nowhere") })
	}
	if got, _ := a.net.Allocated(); len(got) != 1 {
		t.Errorf("allocated %v after detaching, want one", got)
	}
	if links := a.links(t); len(links) != len([]string{"lo", "eth0", "muster0", "muster-vxlan", "pod"}) {
		t.Errorf("links after detaching: %v", links)
	}
	reach(t, a.Namespace, first, netip.MustParseAddr("10.244.1.1"))
}

func (n *node) links(t *testing.T) []string {
	t.Helper()
	var names []string
	n.Do(t, func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			names = append(names, l.Attrs().Name)
		}
		return err
	})
	return names
}

func TestCleanup(t *testing.T) {
	for _, overlay := range []string{network.OverlayVXLAN, network.OverlayRoutes} {
		t.Run(overlay, func(t *testing.T) {
			a, _, _, _ := cluster(t, overlay)
			a.attach(t, nettest.New(t, "pod"))
			for range 2 {
				a.Do(t, func() error { return a.net.Cleanup(context.Background()) })
			}
			if links := a.links(t); len(links) != 2 {
				t.Errorf("links left: %v, want lo and eth0", links)
			}
			a.Do(t, func() error {
				routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
				if err != nil {
					return err
				}
				if len(routes) != 1 {
					t.Errorf("routes left: %v", routes)
				}
				conn, err := nftables.New()
				if err != nil {
					return err
				}
				if tables, err := conn.ListTables(); err != nil || len(tables) > 0 {
					t.Errorf("tables left: %v, %v", tables, err)
				}
				return nil
			})
			if left, err := os.ReadDir(a.cfg.StateDir); err != nil || len(left) > 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
			a.start(t) // and again from nothing
		})
	}
}

func TestWarnsOfChainsThatDrop(t *testing.T) {
	a, _, _, _ := cluster(t, network.OverlayVXLAN)
	var logged bytes.Buffer
	a.cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	a.start(t)
	if logged.Len() > 0 {
		t.Errorf("warned without reason: %s", &logged)
	}
	a.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		drop := nftables.ChainPolicyDrop
		table := conn.AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4})
		conn.AddChain(&nftables.Chain{Name: "FORWARD", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
		return conn.Flush()
	})
	a.start(t)
	if !strings.Contains(logged.String(), "chain=FORWARD") {
		t.Errorf("no warning of the chain, but %q", &logged)
	}
}

func TestAttachIsQuick(t *testing.T) {
	a, _, _, _ := cluster(t, network.OverlayVXLAN)
	const pods = 50
	var spaces []*nettest.Namespace
	for i := range pods {
		spaces = append(spaces, nettest.New(t, fmt.Sprintf("pod%d", i)))
	}
	start := time.Now()
	for _, pod := range spaces {
		a.attach(t, pod)
	}
	t.Logf("%s a pod", time.Since(start)/pods)
}
