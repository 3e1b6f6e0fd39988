// Package processes is a cluster of real servers on this machine, started by
// `muster dev`: killed, stopped and paused by signals, its links broken by
// nftables in the members' network namespaces. A slow link is one that loses
// packets, which TCP sends again. A clock is moved within its process.
package processes

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

const grpcPort = "6442"

// Cluster implements chaos.Cluster.
type Cluster struct {
	dev     *harness.Cluster
	admin   *pki.KeyPair
	members []string
	address map[string]netip.Addr
	outside netip.Addr // where clients, on this machine, come from

	mu    sync.Mutex
	down  map[string]bool          // by our doing
	ahead map[string]time.Duration // how far clocks are ahead, but for 0
	links map[chaos.Pair]chaos.Quality
}

// Up starts a cluster of servers. Down must follow, also after an error.
func Up(ctx context.Context, name, dir string, servers int) (*Cluster, error) {
	c := &Cluster{address: map[string]netip.Addr{}, down: map[string]bool{}, ahead: map[string]time.Duration{}}
	var err error
	if c.dev, err = harness.Up(ctx, name, dir, servers, 0); err != nil {
		return c, err
	}
	if c.admin, err = harness.Administrator(c.dev.Kubeconfig()); err != nil {
		return c, err
	}
	all, err := c.recorded()
	if err != nil {
		return c, err
	}
	for _, m := range all {
		c.members = append(c.members, m.Name)
		c.address[m.Name] = m.IP
	}
	gateway := c.address[c.members[0]].As4()
	gateway[3] = 1
	c.outside = netip.AddrFrom4(gateway)
	return c, nil
}

// Down removes the cluster and all of it.
func (c *Cluster) Down() error { return c.dev.Down(context.Background()) }

// Logs is where the servers' logs are, while the cluster is there.
func (c *Cluster) Logs() string { return filepath.Join(c.dev.Dir, "logs") }

// recordedMember is what `muster dev` remembers of a member.
type recordedMember struct {
	Name      string     `json:"name"`
	IP        netip.Addr `json:"ip"`
	Processes []struct {
		Pid int `json:"pid"`
	} `json:"processes"`
}

func (c *Cluster) recorded() ([]recordedMember, error) {
	content, err := os.ReadFile(filepath.Join(c.dev.Dir, "cluster.json"))
	if err != nil {
		return nil, err
	}
	var state struct {
		Members []recordedMember `json:"members"`
	}
	if err := json.Unmarshal(content, &state); err != nil || len(state.Members) == 0 {
		return nil, fmt.Errorf("read cluster.json: no members: %w", err)
	}
	return state.Members, nil
}

// Members implements chaos.Cluster.
func (c *Cluster) Members() []string { return slices.Clone(c.members) }

// Dial implements chaos.Cluster.
func (c *Cluster) Dial(members ...string) (*sdk.Client, error) {
	var addresses []string
	for _, m := range c.members {
		if len(members) == 0 || slices.Contains(members, m) {
			addresses = append(addresses, net.JoinHostPort(c.address[m].String(), grpcPort))
		}
	}
	return sdk.Dial(sdk.Config{Servers: addresses, TLS: c.admin.PeerTLS(pki.IsServer, "h2"), UserAgent: "chaos"})
}

var _ chaos.Cluster = (*Cluster)(nil)
