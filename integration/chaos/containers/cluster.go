// Package containers is the cluster of deploy/compose under chaos: its apiservers are
// killed and stopped by docker, paused by signals, their links broken by nftables in the
// containers' network namespaces, and their clocks moved within the processes.
package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

const grpcPort = "6442"

// network is the containers', as docker-compose names it.
const network = "muster_cluster"

// Cluster implements chaos.Cluster.
type Cluster struct {
	compose *harness.Compose
	admin   *pki.KeyPair
	members []string
	address map[string]netip.Addr // of members, and of Outside
	logs    string                // a directory of ours

	mu    sync.Mutex
	down  map[string]bool // by our doing
	links map[chaos.Pair]chaos.Quality
	ahead map[string]time.Duration // how far clocks are ahead, but for 0
}

// Up starts the cluster. Down must follow, also after an error. A cluster that is there
// already is somebody's, and is let be.
func Up(ctx context.Context) (*Cluster, error) {
	c := &Cluster{
		members: []string{"apiserver1", "apiserver2", "apiserver3"},
		address: map[string]netip.Addr{}, down: map[string]bool{}, ahead: map[string]time.Duration{},
	}
	if harness.ComposeIsUp() {
		return c, errors.New("the cluster of make compose-up is there already, and would not be the same afterwards: `make compose-down` removes it")
	}
	var err error
	if c.logs, err = os.MkdirTemp("", "muster-chaos-logs-"); err != nil {
		return c, err
	}
	if c.compose, err = harness.UpCompose(ctx, io.Discard); err != nil {
		return c, err
	}
	if c.admin, err = harness.Administrator(c.compose.Kubeconfig()); err != nil {
		return c, err
	}
	for _, m := range c.members {
		if c.address[m], err = c.inspected(ctx, m, "IPAddress"); err != nil {
			return c, err
		}
	}
	// Clients, on this machine, come from the bridge.
	c.address[chaos.Outside], err = c.inspected(ctx, c.members[0], "Gateway")
	return c, err
}

func (c *Cluster) inspected(ctx context.Context, member, field string) (netip.Addr, error) {
	out, err := c.inspect(ctx, member, fmt.Sprintf("{{(index .NetworkSettings.Networks %q).%s}}", network, field))
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(out)
}

func (c *Cluster) inspect(ctx context.Context, member, format string) (string, error) {
	out, err := c.docker(ctx, "inspect", "--format", format, harness.Container(member))
	return strings.TrimSpace(out), err
}

// docker runs a command to its end, also when ctx ends meanwhile.
func (c *Cluster) docker(ctx context.Context, args ...string) (string, error) {
	return c.compose.Docker(context.WithoutCancel(ctx), args...)
}

// Down removes the cluster and all of it.
func (c *Cluster) Down() error {
	if c.compose == nil {
		return nil
	}
	return errors.Join(c.compose.Down(context.Background()), os.RemoveAll(c.logs))
}

// Logs fetches the servers' logs and returns where they are, until Down.
func (c *Cluster) Logs() string {
	for _, m := range c.members {
		// What cannot be had is missed where it is looked for.
		out, err := c.compose.Logs(context.Background(), m)
		if err != nil {
			out += err.Error()
		}
		_ = os.WriteFile(filepath.Join(c.logs, m+".log"), []byte(out), 0o600)
	}
	return c.logs
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
