// Package node runs an agent: it gives the machine its identity, and the agent
// its container runtime and the cluster's addresses.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/agent/runtime/containerd"
	"github.com/musterhq/muster/cmd/muster/internal/enroll"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// LogWriter is the subcommand that containerd starts for a container's output.
const LogWriter = "container-log"

// Reaper is the subcommand that is the first process of pods that share processes.
const Reaper = "reap"

// Config says which node this is.
type Config struct {
	Name, NodeIP, DataDir string
	// Join is the token; not needed once the directory holds an identity.
	Join string
	// Containerd is the address of containerd's socket.
	Containerd   string
	ProxyMode    string
	Overlay      string
	CgroupParent string
	// Mirrors are further registries, https://host[:port], asked for every image
	// after the cluster's own.
	Mirrors []string
	// Labels of the Node.
	Labels map[string]string
	Logger *slog.Logger
}

// Run runs the agent until ctx ends; its pods run on.
func Run(ctx context.Context, config Config) error {
	ip, err := config.complete()
	if err != nil {
		return err
	}
	self, err := enroll.Ensure(ctx, enroll.Request{Kind: kind, Name: config.Name, DataDir: config.DataDir, Token: config.Join, Logger: config.Logger})
	if err != nil {
		return err
	}
	m, pair := self.Membership, self.KeyPair
	config.DataDir = self.DataDir
	var member atomic.Pointer[join.Membership]
	member.Store(&m)
	runtime, err := config.runtime(member.Load, pair)
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{
		NodeName: m.Name, NodeIP: ip, DataDir: filepath.Join(config.DataDir, "agent"), Servers: m.APIAddresses,
		KeyPair: pair, GossipKey: m.GossipKey, GossipJoin: func() []string { return member.Load().GossipAddresses }, Runtime: runtime,
		ProxyMode: config.ProxyMode, Overlay: config.Overlay, CgroupParent: config.CgroupParent, Labels: config.Labels, Logger: config.Logger,
	})
	if err != nil {
		return err
	}
	client, err := sdk.Dial(sdk.Config{Servers: m.APIAddresses, TLS: pair.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster-agent", ProbeInterval: -1})
	if err != nil {
		return err
	}
	defer client.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error {
		return join.KeepServers(ctx, config.Logger, config.DataDir, m, clusterv1.NewClusterServiceClient(client.Conn()),
			func(m join.Membership) { member.Store(&m) })
	})
	group.Go(func() error {
		return join.KeepFresh(ctx, config.Logger, pair, join.Servers{Addresses: func() []string { return member.Load().APIAddresses }, KeyPair: pair})
	})
	return group.Wait()
}

func (c *Config) complete() (netip.Addr, error) {
	if os.Geteuid() != 0 {
		return netip.Addr{}, errors.New("an agent makes network namespaces and containers: run it as root")
	}
	return provision.HostAddress("node-ip", c.NodeIP)
}

// kind is what a node joins as.
var kind = enroll.Kind{
	Name: "node", Role: clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE,
	Pair: provision.NodePair, Identity: pki.NodeIdentity,
}

// runtime connects containerd.
func (c *Config) runtime(member func() *join.Membership, pair *pki.KeyPair) (*containerd.Runtime, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	return containerd.New(containerd.Config{
		Address: c.Containerd, StateDir: filepath.Join(c.DataDir, "runtime"), LogWriter: []string{self, LogWriter},
		Reaper:  []string{self, Reaper},
		Mirrors: func() []containerd.Mirror { return c.mirrors(member(), pair) }, Logger: c.Logger,
	})
}

// mirrors puts the cluster's own registry, which every server of today has,
// before those that were configured.
func (c *Config) mirrors(m *join.Membership, pair *pki.KeyPair) []containerd.Mirror {
	var mirrors []containerd.Mirror
	for _, address := range m.APIAddresses {
		if host, _, err := net.SplitHostPort(address); err == nil {
			mirrors = append(mirrors, containerd.Mirror{
				URL: "https://" + provision.Address(host, provision.RESTPort), TLS: pair.PeerTLS(pki.IsServer),
			})
		}
	}
	for _, url := range c.Mirrors {
		mirrors = append(mirrors, containerd.Mirror{URL: url})
	}
	return mirrors
}
