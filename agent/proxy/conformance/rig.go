//go:build root

package conformance

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/network"
	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
)

const (
	patience   = 3 * time.Second
	targetPort = 8080
)

var (
	clusterCIDR = netip.MustParsePrefix("10.244.0.0/16")
	serviceCIDR = netip.MustParsePrefix("10.96.0.0/12")
	nodeIP      = netip.MustParseAddr("192.168.77.1")
	vip         = netip.MustParseAddrPort("10.96.7.7:80")
	nodePort    = netip.AddrPortFrom(nodeIP, 30080)
)

// rig is a cluster of two nodes and a machine outside, all namespaces. The
// applier under test runs on the first node.
type rig struct {
	t             *testing.T
	suite         Suite
	node, other   *nettest.Namespace
	outside       *nettest.Namespace
	client        *nettest.Namespace // a pod on node
	clientIP      netip.Addr
	servers       []*nettest.Namespace // pods: two on node, one on other
	endpoints     []netip.AddrPort     // of servers
	net, otherNet *network.Network
	applier       proxy.Applier
}

func newRig(t *testing.T, suite Suite) *rig {
	t.Helper()
	r := &rig{t: t, suite: suite, node: nettest.New(t, "node"), other: nettest.New(t, "other"), outside: nettest.New(t, "outside")}
	otherIP := netip.MustParseAddr("192.168.77.2")
	nettest.Switch(t, map[*nettest.Namespace]netip.Prefix{
		r.node: netip.PrefixFrom(nodeIP, 24), r.other: netip.PrefixFrom(otherIP, 24),
		r.outside: netip.MustParsePrefix("192.168.77.9/24"),
	})
	r.net = r.startNetwork(r.node, nodeIP, netip.MustParsePrefix("10.244.1.0/24"))
	r.otherNet = r.startNetwork(r.other, otherIP, netip.MustParsePrefix("10.244.2.0/24"))
	peers := []network.Peer{
		{Node: "node", NodeIP: nodeIP, PodCIDR: netip.MustParsePrefix("10.244.1.0/24")},
		{Node: "other", NodeIP: otherIP, PodCIDR: netip.MustParsePrefix("10.244.2.0/24")},
	}
	r.node.Do(t, func() error { return r.net.SyncPeers(t.Context(), peers) })
	r.other.Do(t, func() error { return r.otherNet.SyncPeers(t.Context(), peers) })
	r.client, r.clientIP = r.pod("client", r.node, r.net)
	for i, at := range []*nettest.Namespace{r.node, r.other, r.node} {
		n := r.net
		if at == r.other {
			n = r.otherNet
		}
		pod, ip := r.pod(fmt.Sprintf("server%d", i), at, n)
		pod.Serve(t, netip.AddrPortFrom(ip, targetPort))
		r.servers = append(r.servers, pod)
		r.endpoints = append(r.endpoints, netip.AddrPortFrom(ip, targetPort))
	}
	r.applier = r.newApplier()
	return r
}

func (r *rig) startNetwork(at *nettest.Namespace, ip netip.Addr, cidr netip.Prefix) *network.Network {
	r.t.Helper()
	n, err := network.New(network.Config{PodCIDR: cidr, ClusterCIDR: clusterCIDR, ServiceCIDR: serviceCIDR,
		NodeIP: ip, StateDir: r.t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	at.Do(r.t, func() error { return n.Setup(r.t.Context()) })
	return n
}

func (r *rig) pod(name string, at *nettest.Namespace, n *network.Network) (*nettest.Namespace, netip.Addr) {
	r.t.Helper()
	pod := nettest.New(r.t, name)
	var ip netip.Addr
	at.Do(r.t, func() (err error) {
		ip, err = n.Attach(r.t.Context(), name, pod.Path())
		return err
	})
	return pod, ip
}

func (r *rig) newApplier() (a proxy.Applier) {
	r.t.Helper()
	r.node.Do(r.t, func() (err error) {
		a, err = r.suite.New()
		return err
	})
	return a
}

// rules of one service of both protocols with the servers of these numbers.
func (r *rig) rules(servers ...int) proxy.Rules {
	var endpoints []netip.AddrPort
	for _, i := range servers {
		endpoints = append(endpoints, r.endpoints[i])
	}
	rules := proxy.Rules{NodeAddresses: []netip.Addr{nodeIP}, ClusterCIDR: clusterCIDR, ServiceCIDR: serviceCIDR}
	for _, p := range []proxy.Protocol{proxy.TCP, proxy.UDP} {
		rules.Services = append(rules.Services, proxy.Service{Name: "default/whoami:" + string(p), Protocol: p,
			ClusterIP: vip.Addr(), Port: vip.Port(), NodePort: nodePort.Port(), Endpoints: endpoints})
	}
	return rules
}

func (r *rig) sync(rules proxy.Rules) {
	r.t.Helper()
	r.node.Do(r.t, func() error { return r.applier.Sync(context.Background(), rules) })
}

// ask makes one request that must be answered.
func (r *rig) ask(from *nettest.Namespace, network string, to netip.AddrPort) nettest.Answer {
	r.t.Helper()
	answer, err := from.Ask(network, to, patience)
	if err != nil {
		r.t.Fatalf("%s from %s to %s: %v", network, from.Name, to, err)
	}
	return answer
}

// refused makes one request that must be refused, and quickly.
func (r *rig) refused(from *nettest.Namespace, network string, to netip.AddrPort) {
	r.t.Helper()
	start := time.Now()
	answer, err := from.Ask(network, to, patience)
	if err == nil {
		r.t.Errorf("%s from %s to %s: answered by %s, want a refusal", network, from.Name, to, answer.Server)
	} else if took := time.Since(start); took > patience/2 {
		r.t.Errorf("%s from %s to %s: refused after %s (%v), want it at once", network, from.Name, to, took, err)
	}
}
