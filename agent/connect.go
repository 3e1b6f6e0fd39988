package agent

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/agent/dns"
	"github.com/musterhq/muster/agent/network"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/ipvs"
	"github.com/musterhq/muster/agent/proxy/nftables"
)

// dnsDevice holds the cluster's DNS address on every node.
const dnsDevice = "muster-dns"

// awaitPodCIDR waits until the node controller has given this node its range.
func (a *Agent) awaitPodCIDR(ctx context.Context) (netip.Prefix, error) {
	found := make(chan netip.Prefix, 1)
	remove := a.nodes.OnChange(func(_, new *corev1.Node) {
		if new == nil || new.Name != a.cfg.NodeName || new.Spec.PodCIDR == "" {
			return
		}
		cidr, err := netip.ParsePrefix(new.Spec.PodCIDR)
		if err != nil {
			a.cfg.Logger.Error("the node's pod CIDR cannot be read", "cidr", new.Spec.PodCIDR, "error", err)
			return
		}
		select {
		case found <- cidr:
		default:
		}
	})
	defer remove()
	select {
	case cidr := <-found:
		return cidr, nil
	case <-ctx.Done():
		return netip.Prefix{}, ctx.Err()
	}
}

// freeRange is cidr unless another node has it.
func (a *Agent) freeRange(cidr string) string {
	for _, n := range a.nodes.List() {
		if n.Name != a.cfg.NodeName && n.Spec.PodCIDR == cidr {
			return ""
		}
	}
	return cidr
}

// connect sets up the network and starts what follows the cluster's nodes,
// services and endpoints. The node is ready once the first rules are applied.
func (a *Agent) connect(ctx context.Context, group *errgroup.Group, podCIDR netip.Prefix) (pod.Network, error) {
	net, err := network.New(network.Config{
		PodCIDR: podCIDR, ClusterCIDR: a.cfg.ClusterCIDR, ServiceCIDR: a.cfg.ServiceCIDR, NodeIP: a.cfg.NodeIP,
		Overlay: a.cfg.Overlay, StateDir: filepath.Join(a.cfg.DataDir, "network"), Logger: a.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := net.Setup(ctx); err != nil {
		return nil, fmt.Errorf("set up network: %w", err)
	}
	group.Go(func() error { return a.followPeers(ctx, net) })
	runner, err := a.proxy()
	if err != nil {
		return nil, err
	}
	for _, wait := range []func(context.Context) error{a.services.WaitSynced, a.slices.WaitSynced} {
		if err := wait(ctx); err != nil {
			return nil, err
		}
	}
	group.Go(func() error {
		defer a.services.OnChange(func(_, _ *corev1.Service) { runner.Notify() })()
		defer a.slices.OnChange(func(_, _ *discoveryv1.EndpointSlice) { runner.Notify() })()
		return runner.Run(ctx)
	})
	server, err := dns.New(dns.Config{
		Address: a.cfg.ClusterDNS, Device: dnsDevice, Domain: a.cfg.ClusterDomain,
		Services: a.services, EndpointSlices: a.slices,
		ServiceCIDR: a.cfg.ServiceCIDR, ClusterCIDR: a.cfg.ClusterCIDR, Logger: a.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	group.Go(func() error { return server.Run(ctx) })
	for _, ready := range []<-chan struct{}{runner.Synced(), server.Ready()} {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return net, nil
}

func (a *Agent) proxy() (*proxy.Runner, error) {
	mode, err := proxy.Detect(a.cfg.ProxyMode)
	if err != nil {
		return nil, err
	}
	applier, err := a.applier(mode)
	if err != nil {
		return nil, err
	}
	options := proxy.Options{
		NodeName: a.cfg.NodeName, NodeAddresses: []netip.Addr{a.cfg.NodeIP},
		ClusterCIDR: a.cfg.ClusterCIDR, ServiceCIDR: a.cfg.ServiceCIDR,
		SelfServed: []netip.Addr{a.cfg.ClusterDNS},
	}
	return proxy.NewRunner(proxy.Config{
		Applier: applier, Logger: a.cfg.Logger,
		Rules: func() proxy.Rules { return proxy.Compute(a.services.List(), a.slices.List(), options) },
	})
}

func (a *Agent) applier(mode string) (proxy.Applier, error) {
	if mode == proxy.ModeNFTables {
		return nftables.New(nftables.Config{Logger: a.cfg.Logger})
	}
	return ipvs.New(ipvs.Config{Logger: a.cfg.Logger})
}

// peerRetry is how soon a failed change of peers is tried again.
const peerRetry = time.Second

// followPeers keeps the other nodes' pods reachable.
func (a *Agent) followPeers(ctx context.Context, net *network.Network) error {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if err := a.nodes.WaitSynced(ctx); err != nil {
		return err
	}
	defer a.nodes.OnChange(func(old, new *corev1.Node) {
		if old == nil || new == nil || peerOf(old) != peerOf(new) {
			notify()
		}
	})()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		var peers []network.Peer
		for _, n := range a.nodes.List() {
			if p := peerOf(n); p.NodeIP.IsValid() && p.PodCIDR.IsValid() {
				peers = append(peers, p)
			}
		}
		if err := net.SyncPeers(ctx, peers); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("reach the other nodes' pods", "error", err)
			time.AfterFunc(peerRetry, notify)
		}
	}
}

// peerOf is what the network needs of a node; zero where it is not known yet.
func peerOf(n *corev1.Node) network.Peer {
	p := network.Peer{Node: n.Name}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && !p.NodeIP.IsValid() {
			p.NodeIP, _ = netip.ParseAddr(a.Address)
		}
	}
	p.PodCIDR, _ = netip.ParsePrefix(n.Spec.PodCIDR)
	return p
}
