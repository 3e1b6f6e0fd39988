// Package muster runs clusters of Muster's apiserver, and uses them by the SDK.
package muster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/store"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

const (
	clusterID = "bench"
	// readyTime is how long a new cluster may take until all its members serve.
	readyTime = 30 * time.Second
	// validity of the certificates.
	validity = 24 * time.Hour
)

// Maker makes clusters of the apiserver.
type Maker struct {
	// Address of a member, which listens at the apiserver's usual ports.
	Address func(member int) string
	// Command runs RunMember with the argument that follows it.
	Command []string
	// Profile has members take samples of what they allocate.
	Profile bool
}

// Name is Muster's.
func (Maker) Name() string { return "muster" }

// New starts a cluster: the first member forms it, the others are added.
func (m Maker) New(ctx context.Context, dir string, members int) (store.Cluster, error) {
	c := &cluster{}
	if err := c.identify(dir, members, m); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type cluster struct {
	members   []memberConfig
	processes []*process.Process
	admin     *pki.KeyPair
	servers   []*pki.KeyPair
}

// identify makes the members' directories, with a certificate each.
func (c *cluster) identify(dir string, members int, maker Maker) error {
	authority, err := pki.NewCA(clusterID)
	if err != nil {
		return err
	}
	if c.admin, err = issue(authority, pki.AdminIdentity()); err != nil {
		return err
	}
	for i := range members {
		m := memberConfig{Name: fmt.Sprintf("m%d", i), Address: maker.Address(i), Bootstrap: i == 0, Profile: maker.Profile}
		m.Dir = filepath.Join(dir, m.Name)
		if err := os.MkdirAll(m.Dir, 0o700); err != nil {
			return err
		}
		pair, err := issue(authority, pki.ServerIdentity(m.Name), m.Address)
		if err != nil {
			return err
		}
		if err := pair.Save(m.Dir, pairName); err != nil {
			return err
		}
		if err := authority.Save(m.Dir); err != nil {
			return err
		}
		c.servers = append(c.servers, pair)
		c.members = append(c.members, m)
		c.processes = append(c.processes, &process.Process{Log: m.Dir + ".log", Args: append(maker.Command[:len(maker.Command):len(maker.Command)], m.argument())})
	}
	return nil
}

func issue(authority *pki.CA, id pki.Identity, addresses ...string) (*pki.KeyPair, error) {
	cert, key, err := authority.Issue(id, addresses, validity)
	if err != nil {
		return nil, err
	}
	return pki.NewKeyPair(cert, key, authority.CertificatePEM())
}

func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for i := range c.members {
		if err := c.Start(ctx, i); err != nil {
			return err
		}
		if i > 0 {
			if err := c.add(ctx, i); err != nil {
				return fmt.Errorf("muster: add member %d: %w", i, err)
			}
		}
		if err := c.ready(ctx, i); err != nil {
			return fmt.Errorf("muster: member %d: %w", i, err)
		}
	}
	return nil
}

// add has the first member take in another one, which must ask itself.
func (c *cluster) add(ctx context.Context, member int) error {
	client, err := c.dial(c.servers[member], 0)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = clusterv1.NewClusterServiceClient(client.sdk.Conn()).AddServer(ctx,
		&clusterv1.AddServerRequest{Id: c.members[member].Name, RaftAddress: c.members[member].Address + ":6444"})
	return err
}

// ready waits until a member answers a linearizable read.
func (c *cluster) ready(ctx context.Context, member int) error {
	client, err := c.dial(c.admin, member)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ready(ctx)
}

func (c *cluster) Members() int                        { return len(c.members) }
func (c *cluster) Process(member int) *process.Process { return c.processes[member] }

func (c *cluster) Start(ctx context.Context, member int) error {
	if err := c.processes[member].Start(); err != nil {
		return err
	}
	return c.processes[member].WaitListening(ctx, c.api(member))
}

func (c *cluster) api(member int) string { return c.members[member].Address + ":6442" }

func (c *cluster) Leader(ctx context.Context) (int, error) {
	client, err := c.dial(c.admin, 0)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	response, err := clusterv1.NewClusterServiceClient(client.sdk.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return 0, fmt.Errorf("muster: list members: %w", err)
	}
	for _, listed := range response.GetMembers() {
		for i, m := range c.members {
			if listed.GetLeader() && listed.GetId() == m.Name {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("muster: no member leads")
}

func (c *cluster) Dial(members ...int) (store.Client, error) { return c.dial(c.admin, members...) }

func (c *cluster) dial(as *pki.KeyPair, members ...int) (*client, error) {
	var servers []string
	for _, m := range members {
		servers = append(servers, c.api(m))
	}
	s, err := sdk.Dial(sdk.Config{Servers: servers, TLS: as.PeerTLS(pki.IsServer, "h2"), UserAgent: "bench-store"})
	if err != nil {
		return nil, err
	}
	return &client{sdk: s}, nil
}

func (c *cluster) Close() {
	for _, p := range c.processes {
		p.Stop()
	}
}

// Profile begins, or ends, a CPU profile of every member.
func (c *cluster) Profile() {
	for _, p := range c.processes {
		_ = p.Signal(syscall.SIGUSR1)
	}
}

// Account writes what the memory of every member is for.
func (c *cluster) Account() {
	for _, p := range c.processes {
		_ = p.Signal(syscall.SIGUSR2)
	}
}
