// Package virtual is a cluster of apiservers in one process, over a network in
// memory. In a testing/synctest bubble it lives in virtual time. The apiservers
// are the real ones, with their logs in files; a pause is one of the network
// only, since goroutines cannot be held, and all members share one clock.
package virtual

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// clientHost is where clients are; servers are at serverHost and their number.
const (
	clientHost = "10.3.0.1"
	serverHost = "10.1.0.%d"
	grpcPort   = "6442"
)

// replaceTime is how long it may take to replace a member.
const replaceTime = time.Minute

// certificateTTL outlives every virtual cluster.
const certificateTTL = 365 * 24 * time.Hour

// Cluster implements chaos.Cluster.
type Cluster struct {
	dir       string
	links     *links
	disks     *disks
	authority *pki.CA
	admin     *pki.KeyPair
	log       *slog.Logger

	mu      sync.Mutex
	members []*member // in the order of their coming
	names   map[string]string
	number  int // of the newest member
	paused  map[string]bool
	shaped  map[chaos.Pair]chaos.Quality
}

// New starts a cluster that keeps its data below dir. Close must follow, also
// after an error.
func New(ctx context.Context, dir string, members int, log *slog.Logger) (*Cluster, error) {
	authority, err := pki.NewCA("chaos")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, authority: authority, log: log, names: map[string]string{}, paused: map[string]bool{}}
	c.links, c.disks = newLinks(c.nameAt), newDisks()
	if c.admin, err = c.keyPair(pki.AdminIdentity()); err != nil {
		return c, err
	}
	for range members {
		if err := c.add(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Close ends the members in order, and returns when nothing of them is under way.
func (c *Cluster) Close() error {
	errs := []error{c.Ended()}
	for _, m := range c.list() {
		c.disks.hang(m.dir, false)
		errs = append(errs, m.stop())
	}
	c.links.passing.Wait()
	c.disks.close()
	return errors.Join(errs...)
}

// add starts a member that joins the cluster, or forms it.
func (c *Cluster) add(ctx context.Context) error {
	c.mu.Lock()
	c.number++
	m := &member{cluster: c, name: fmt.Sprintf("server%d", c.number), host: fmt.Sprintf(serverHost, c.number), first: c.number == 1}
	m.dir = filepath.Join(c.dir, m.name)
	c.names[m.host] = m.name
	c.mu.Unlock()
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	var err error
	if m.pair, err = c.keyPair(pki.ServerIdentity(m.name), m.host); err != nil {
		return err
	}
	if err := m.start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.members = append(c.members, m)
	c.mu.Unlock()
	if !m.first {
		if err := m.join(ctx); err != nil {
			return err
		}
	}
	if err := m.api.WaitReady(ctx); err != nil {
		return fmt.Errorf("add %s: %w", m.name, err)
	}
	return nil
}

// Members implements chaos.Cluster.
func (c *Cluster) Members() []string {
	var names []string
	for _, m := range c.list() {
		names = append(names, m.name)
	}
	return names
}

func (c *Cluster) list() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.members)
}

func (c *Cluster) member(name string) (*member, error) {
	for _, m := range c.list() {
		if m.name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no member %s", name)
}

// nameAt is the member at a host; chaos.Outside for where clients are.
func (c *Cluster) nameAt(host string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[host]
}

// Dial implements chaos.Cluster.
func (c *Cluster) Dial(members ...string) (*sdk.Client, error) {
	return c.dial(c.admin, clientHost, members)
}

func (c *Cluster) dial(pair *pki.KeyPair, from string, members []string) (*sdk.Client, error) {
	var addresses []string
	for _, m := range c.list() {
		if len(members) == 0 || slices.Contains(members, m.name) {
			addresses = append(addresses, net.JoinHostPort(m.host, grpcPort))
		}
	}
	if len(addresses) == 0 { // it was replaced meanwhile
		return c.dial(pair, from, nil)
	}
	return sdk.Dial(sdk.Config{Servers: addresses, TLS: pair.PeerTLS(pki.IsServer), Dialer: c.links.dialer(from), Logger: c.log})
}

func (c *Cluster) keyPair(id pki.Identity, hosts ...string) (*pki.KeyPair, error) {
	cert, key, err := c.authority.Issue(id, append(hosts, "127.0.0.1"), certificateTTL)
	if err != nil {
		return nil, err
	}
	return pki.NewKeyPair(cert, key, c.authority.CertificatePEM())
}

// Shape implements chaos.Cluster.
func (c *Cluster) Shape(_ context.Context, links map[chaos.Pair]chaos.Quality) error {
	c.mu.Lock()
	c.shaped = links
	c.mu.Unlock()
	c.reshape()
	return nil
}

// Pause implements chaos.Processes: what the member hears and says waits.
func (c *Cluster) Pause(_ context.Context, name string) error {
	c.mu.Lock()
	c.paused[name] = true
	c.mu.Unlock()
	c.reshape()
	return nil
}

// Resume implements chaos.Processes.
func (c *Cluster) Resume(_ context.Context, name string) error {
	c.mu.Lock()
	delete(c.paused, name)
	c.mu.Unlock()
	c.reshape()
	return nil
}

func (c *Cluster) reshape() {
	c.mu.Lock()
	defer c.mu.Unlock()
	links := maps.Clone(c.shaped)
	if links == nil {
		links = map[chaos.Pair]chaos.Quality{}
	}
	for name := range c.paused {
		for _, other := range append(slices.Collect(maps.Values(c.names)), chaos.Outside) {
			links[chaos.Pair{From: name, To: other}] = chaos.Quality{Lost: true}
			links[chaos.Pair{From: other, To: name}] = chaos.Quality{Lost: true}
		}
	}
	c.links.shape(links)
}
