package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/hashicorp/memberlist"

	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/internal/pki"
)

// The ports of an agent.
const (
	DefaultPort       = 10250
	DefaultGossipPort = 7946
)

// Config says which node this is and where its cluster is.
type Config struct {
	NodeName string
	NodeIP   netip.Addr
	// DataDir keeps addresses, volumes and logs over restarts.
	DataDir string
	// Servers are the apiservers' gRPC addresses, host:port.
	Servers []string
	// KeyPair identifies this node (system:node:NAME) to everybody.
	KeyPair *pki.KeyPair
	// GossipKey encrypts gossip.
	GossipKey []byte
	// GossipJoin returns members to join, host:port. It is asked whenever the
	// agent is alone, from any goroutine.
	GossipJoin func() []string
	// GossipListen is NodeIP and DefaultGossipPort when empty.
	GossipListen string
	// Runtime runs the containers; RuntimeName ("containerd" when empty) is what
	// their IDs begin with.
	Runtime     runtime.Runtime
	RuntimeName string
	// ProxyMode is auto, ipvs or nftables; auto when empty.
	ProxyMode string
	// Overlay is vxlan or routes; vxlan when empty.
	Overlay string
	// CgroupParent holds the pods' cgroups; /muster when empty.
	CgroupParent string
	// ClusterDomain is cluster.local when empty.
	ClusterDomain string
	// ClusterDNS is 10.96.0.10, ServiceCIDR 10.96.0.0/12 and ClusterCIDR (the
	// pods') 10.244.0.0/16 when not set.
	ClusterDNS               netip.Addr
	ServiceCIDR, ClusterCIDR netip.Prefix
	// Labels of the Node besides those of Kubernetes.
	Labels map[string]string
	// Listener of the AgentService; NodeIP and DefaultPort when nil.
	Listener net.Listener
	// Dialer opens connections to the servers; nil is TCP.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
	// GossipTransport replaces gossip's sockets, where there is no network.
	GossipTransport memberlist.Transport
	// Connect replaces this machine's network, proxy and DNS, where pods are not
	// real either.
	Connect func(ctx context.Context, podCIDR netip.Prefix) (pod.Network, error)
	// Measure says what the machine runs short of; nil measures it.
	Measure func(dataDir string) (node.Pressure, error)
	Logger  *slog.Logger
}

func (c *Config) complete() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("node", c.NodeName)
	if c.NodeName == "" || !c.NodeIP.IsValid() || c.KeyPair == nil || c.Runtime == nil || len(c.Servers) == 0 {
		return errors.New("node name, node address, key pair, runtime and servers are required")
	}
	if !filepath.IsAbs(c.DataDir) {
		return fmt.Errorf("data directory %q is not absolute", c.DataDir)
	}
	text := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	text(&c.GossipListen, netip.AddrPortFrom(c.NodeIP, DefaultGossipPort).String())
	text(&c.RuntimeName, "containerd")
	text(&c.CgroupParent, "/muster")
	text(&c.ClusterDomain, "cluster.local")
	if !c.ClusterDNS.IsValid() {
		c.ClusterDNS = netip.AddrFrom4([4]byte{10, 96, 0, 10})
	}
	if !c.ServiceCIDR.IsValid() {
		c.ServiceCIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96, 0, 0}), 12)
	}
	if !c.ClusterCIDR.IsValid() {
		c.ClusterCIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, 0, 0}), 16)
	}
	return os.MkdirAll(c.DataDir, 0o750)
}
