// Package apiserver is the control plane's door and memory: it stores objects
// by Raft and serves them as Kubernetes' REST API and over gRPC.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// The ports that are listened on where no listener is given.
const (
	PortREST = 6443
	PortGRPC = 6442
	PortRaft = 6444
)

// AuditConfig says what is written down of what is asked for, and where.
type AuditConfig = audit.Config

// Config says what a server is and what it works with.
type Config struct {
	// Name of the server, unique in the cluster.
	Name string
	// DataDir holds the log, the snapshots and the images.
	DataDir string
	// AdvertiseAddress is the IP at which the others reach this server.
	AdvertiseAddress string
	// Listeners; nil listens on the usual port at all addresses. Run closes them.
	RESTListener, GRPCListener, RaftListener net.Listener
	// Authority signs what joins; every server holds it.
	Authority *pki.CA
	// KeyPair is this server's certificate.
	KeyPair *pki.KeyPair
	// ServiceCIDR is where cluster IPs come from; 10.96.0.0/12 when not given.
	ServiceCIDR netip.Prefix
	// NodePortFirst and NodePortLast bound node ports; 30000-32767 when not given.
	NodePortFirst, NodePortLast int32
	// ClusterID of the cluster; a data directory of another one is refused.
	ClusterID string
	// Bootstrap forms a new cluster of this one server if there is no data yet.
	Bootstrap bool
	// NonVoter makes a server that never votes: it serves, and counts for no
	// majority.
	NonVoter bool
	// Epoch of the cluster that a new server joins, as Join told it.
	Epoch uint64
	// RemoveDeadAfter is how long a voter must have been silent before one that
	// joined takes its place and it is removed; 0 is never.
	RemoveDeadAfter time.Duration
	// ServiceAccountKeyPEM signs ServiceAccount tokens; joining servers get it.
	ServiceAccountKeyPEM []byte
	// GossipKey encrypts the pool, GossipListen is where to gossip (host:port);
	// empty gossips with nobody. GossipSeeds are tried beside the servers that
	// the state names; GossipTransport replaces the network in tests.
	GossipKey       []byte
	GossipListen    string
	GossipSeeds     []string
	GossipTransport memberlist.Transport
	// Dial makes raw connections to other members and agents; nil is the network.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Now is the clock by which objects are stamped and expire; nil is this
	// machine's.
	Now func() time.Time
	// SnapshotEntries is how many entries of the log make a snapshot worth it, and
	// are kept behind one for members that lag; 8192 if 0. SnapshotInterval is how
	// often that is looked at; 30 s if 0.
	SnapshotEntries  uint64
	SnapshotInterval time.Duration
	// InMemory keeps the log in memory, for tests.
	InMemory bool
	// Audit says what is written down of what is asked for; the zero value is nothing.
	Audit AuditConfig
	// Logger of the server.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" || c.ClusterID == "" || c.KeyPair == nil || c.Authority == nil || c.Logger == nil {
		return c, errors.New("new apiserver: name, cluster ID, authority, key pair and logger are required")
	}
	if c.DataDir == "" {
		return c, errors.New("new apiserver: a data directory is required")
	}
	if _, err := netip.ParseAddr(c.AdvertiseAddress); err != nil {
		return c, fmt.Errorf("new apiserver: advertise address: %w", err)
	}
	if !c.ServiceCIDR.IsValid() {
		c.ServiceCIDR = netip.MustParsePrefix("10.96.0.0/12")
	}
	return c, nil
}

func (c Config) registryOptions() registry.Options {
	o := registry.Options{ServiceCIDR: c.ServiceCIDR}
	if c.NodePortFirst != 0 || c.NodePortLast != 0 {
		o.NodePorts = registry.PortRange{First: c.NodePortFirst, Last: c.NodePortLast}
	}
	return o
}

// listen makes the listeners that were not given.
func (c *Config) listen() error {
	for _, l := range []struct {
		listener *net.Listener
		port     int
	}{{&c.RESTListener, PortREST}, {&c.GRPCListener, PortGRPC}, {&c.RaftListener, PortRaft}} {
		if *l.listener != nil {
			continue
		}
		lis, err := net.Listen("tcp", fmt.Sprintf(":%d", l.port))
		if err != nil {
			c.closeListeners()
			if errors.Is(err, syscall.EADDRINUSE) {
				err = fmt.Errorf("%w: is a server running here already? `ss -ltnp sport = :%d` shows who uses the port", err, l.port)
			}
			return fmt.Errorf("new apiserver: %w", err)
		}
		*l.listener = lis
	}
	return nil
}

func (c *Config) closeListeners() {
	for _, lis := range []net.Listener{c.RESTListener, c.GRPCListener, c.RaftListener} {
		if lis != nil {
			_ = lis.Close()
		}
	}
}

// advertised is where others reach a listener: the port is the listener's own,
// the address the advertised one, but for listeners that are not TCP's.
func (c Config) advertised(lis net.Listener) string {
	_, port, err := net.SplitHostPort(lis.Addr().String())
	if err != nil {
		return lis.Addr().String()
	}
	return net.JoinHostPort(c.AdvertiseAddress, port)
}
