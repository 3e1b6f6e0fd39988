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
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/agent/runtime/containerd"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/cmd/muster/internal/server"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// joinTimeout is how long an agent tries to reach the servers of its token.
const joinTimeout = 5 * time.Minute

// LogWriter is the subcommand that containerd starts for a container's output.
const LogWriter = "container-log"

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
	m, err := config.ensure(ctx)
	if err != nil {
		return err
	}
	pair, err := join.LoadPair(config.DataDir, provision.NodePair)
	if err != nil {
		return fmt.Errorf("%w: the node's identity is damaged; move %s away and join again with a new token", err, config.DataDir)
	}
	if got, want := pair.Identity().User, pki.NodeIdentity(m.Name).User; got != want {
		return fmt.Errorf("the certificate in %s is %q's, not %q's: move %s away and join again with a new token", join.PKIDir(config.DataDir), got, want, config.DataDir)
	}
	if leaf := pair.Leaf(); time.Now().After(leaf.NotAfter) {
		return fmt.Errorf("the node's certificate expired at %s: move %s away and join again with a new token", leaf.NotAfter.Format(time.RFC3339), config.DataDir)
	}
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
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("data directory: %w", err)
	}
	c.DataDir = dir
	if os.Geteuid() != 0 {
		return netip.Addr{}, errors.New("an agent makes network namespaces and containers: run it as root")
	}
	if c.Name == "" {
		if c.Name, err = os.Hostname(); err != nil {
			return netip.Addr{}, fmt.Errorf("name of this host (give one with --name): %w", err)
		}
		c.Name = strings.ToLower(c.Name)
	}
	if c.NodeIP == "" {
		if c.NodeIP, err = server.DefaultAddress(); err != nil {
			return netip.Addr{}, fmt.Errorf("find this machine's address (give it with --node-ip): %w", err)
		}
	}
	ip, err := netip.ParseAddr(c.NodeIP)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("node IP: %w", err)
	}
	return ip, nil
}

// ensure makes the directory a node's, by the token if it is none yet.
func (c *Config) ensure(ctx context.Context) (join.Membership, error) {
	member, err := join.IsMember(c.DataDir)
	if err != nil {
		return join.Membership{}, err
	}
	if !member {
		if c.Join == "" {
			return join.Membership{}, fmt.Errorf("%s holds no node's identity yet: give a token with --join (`muster token create` on a server prints one)", c.DataDir)
		}
		if err := c.join(ctx); err != nil {
			return join.Membership{}, err
		}
	} else if c.Join != "" {
		if err := join.CheckCluster(c.DataDir, c.Join); err != nil {
			return join.Membership{}, err
		}
	}
	m, err := join.LoadMembership(c.DataDir)
	if err == nil && m.Name != c.Name {
		err = fmt.Errorf("%s belongs to node %q, not %q: give --name %s, or choose another directory", c.DataDir, m.Name, c.Name, m.Name)
	}
	return m, err
}

func (c *Config) join(ctx context.Context) error {
	token, err := join.ParseToken(c.Join)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	granted, err := join.Join(ctx, join.Request{Token: token, Role: clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE, Name: c.Name, Logger: c.Logger})
	if err != nil {
		return err
	}
	if err := granted.KeyPair.Save(join.PKIDir(c.DataDir), provision.NodePair); err != nil {
		return err
	}
	return granted.Membership.Save(c.DataDir)
}

// runtime connects containerd.
func (c *Config) runtime(member func() *join.Membership, pair *pki.KeyPair) (*containerd.Runtime, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	return containerd.New(containerd.Config{
		Address: c.Containerd, StateDir: filepath.Join(c.DataDir, "runtime"), LogWriter: []string{self, LogWriter},
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
