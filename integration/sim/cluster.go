// Package sim runs whole clusters in one process, over a network in memory.
// Inside a testing/synctest bubble a cluster lives in virtual time: elections,
// leases and back-offs of minutes pass in milliseconds. All parts are the real
// ones, with their logs in real files; only cables and containers are not.
package sim

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/integration/memnet"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// certificateTTL outlives every simulated cluster.
const certificateTTL = 365 * 24 * time.Hour

// clientHost is where the test itself is.
const clientHost = "10.3.0.1"

// gossipKey is shared by all clusters: none of them meet.
var gossipKey = []byte("0123456789abcdef0123456789abcdef")

// podCIDR of every cluster.
var podCIDR = netip.MustParsePrefix("10.244.0.0/16")

// Cluster is a running cluster.
type Cluster struct {
	Net     *memnet.Network
	Servers []*Server
	Nodes   []*Node
	// Client is an administrator's.
	Client *sdk.Client

	t         *testing.T
	writers   []*Writers
	authority *pki.CA
	accounts  []byte // the key that signs tokens of service accounts
	roles     bool   // servers have a scheduler and a controller manager
	log       *slog.Logger
}

// New starts servers and nodes and waits until all nodes are Ready. When the
// test ends it deletes what runs, checks that nothing is left of it, and stops
// everything. Call it inside a synctest bubble.
func New(t *testing.T, servers, nodes int) *Cluster {
	t.Helper()
	return start(t, servers, nodes, true)
}

// NewAPI starts one apiserver, with nobody who acts on what it stores.
func NewAPI(t *testing.T) *Cluster {
	t.Helper()
	return start(t, 1, 0, false)
}

func start(t *testing.T, servers, nodes int, roles bool) *Cluster {
	t.Helper()
	authority, err := pki.NewCA("sim")
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Net: memnet.New(), t: t, authority: authority, accounts: accounts, roles: roles, log: logger(t)}
	for i := range servers {
		s := &Server{Name: fmt.Sprintf("server%d", i+1), Host: fmt.Sprintf("10.1.0.%d", i+1), cluster: c, dir: dataDir(t)}
		c.Servers = append(c.Servers, s)
	}
	for i := range nodes {
		c.Nodes = append(c.Nodes, newNode(c, fmt.Sprintf("node%d", i+1), fmt.Sprintf("10.2.0.%d", i+1)))
	}
	t.Cleanup(c.close) // after it, the directories may go
	c.Client = c.newAdmin()
	for _, s := range c.Servers {
		s.Start()
		s.WaitReady()
	}
	for _, n := range c.Nodes {
		n.Start()
	}
	c.WaitNodes()
	return c
}

// close empties the cluster, unless the test has failed already, and stops nodes
// before servers, as an orderly shutdown does.
func (c *Cluster) close() {
	for _, w := range c.writers {
		w.Stop()
	}
	if c.roles && !c.t.Failed() {
		c.drain()
	}
	for _, n := range c.Nodes {
		n.Stop()
	}
	for _, s := range c.Servers {
		s.Stop()
	}
	if err := c.Client.Close(); err != nil {
		c.t.Error(err)
	}
	// memberlist's Shutdown does not wait for the probes that are under way.
	time.Sleep(time.Minute)
}

// logger prints when the environment asks for it.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("SIM_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// dataDir is a directory for a server's log: in memory where there is room, as
// it is not a disk's fsync that is simulated.
func dataDir(t *testing.T) string {
	const memory, room = "/dev/shm", 1 << 30
	var fs unix.Statfs_t
	if unix.Statfs(memory, &fs) != nil || int64(fs.Bavail)*fs.Bsize < room {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "muster-sim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// WaitNodes waits until all nodes are Ready.
func (c *Cluster) WaitNodes() {
	c.t.Helper()
	c.Eventually(time.Minute, func(ctx context.Context) error {
		page, err := sdk.List[*corev1.Node](ctx, c.Client, sdk.ListOptions{})
		if err != nil {
			return err
		}
		ready := 0
		for _, n := range page.Items {
			for _, condition := range n.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		if ready != len(c.Nodes) {
			return fmt.Errorf("%d of %d nodes are ready", ready, len(c.Nodes))
		}
		return nil
	})
}

// keyPair issues an identity.
func (c *Cluster) keyPair(id pki.Identity, hosts ...string) *pki.KeyPair {
	cert, key, err := c.authority.Issue(id, append(hosts, "127.0.0.1"), certificateTTL)
	if err == nil {
		var pair *pki.KeyPair
		if pair, err = pki.NewKeyPair(cert, key, c.authority.CertificatePEM()); err == nil {
			return pair
		}
	}
	c.t.Fatal(err)
	return nil
}

func (c *Cluster) client(host string, id pki.Identity, servers ...*Server) *sdk.Client {
	client, err := sdk.Dial(c.clientConfig(host, c.keyPair(id).PeerTLS(pki.IsServer), servers))
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

func (c *Cluster) newAdmin() *sdk.Client {
	return c.client(clientHost, pki.AdminIdentity(), c.Servers...)
}

func (c *Cluster) clientConfig(host string, config *tls.Config, servers []*Server) sdk.Config {
	return sdk.Config{Servers: apiAddresses(servers), TLS: config, Dialer: c.Net.Dialer(host), Logger: c.log}
}

func apiAddresses(servers []*Server) []string {
	var list []string
	for _, s := range servers {
		list = append(list, s.Host+":6442")
	}
	return list
}

func (c *Cluster) gossipAddresses() []string {
	var list []string
	for _, s := range c.Servers {
		list = append(list, s.Host+":7946")
	}
	return list
}

// Eventually waits up to a virtual time for f to return nil.
func (c *Cluster) Eventually(within time.Duration, f func(ctx context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil { // else it says only that time is up
			last = err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			c.t.Fatalf("not within %v: %v", within, last)
		}
	}
}
