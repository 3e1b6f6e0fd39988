// Package etcd runs clusters of etcd, and uses them as an apiserver does.
package etcd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/store"
)

const (
	// quota is above etcd's 2 GiB, which a million objects fill. It is a bound and
	// costs nothing.
	quota = 16 << 30
	// readyTime is how long a new cluster may take to elect a leader.
	readyTime   = 30 * time.Second
	dialTimeout = 5 * time.Second
)

// Maker makes clusters of the etcd on the PATH, with its defaults: every write
// is synced, connections are plain. Members listen at 2379 and 2380 of their
// address.
type Maker struct {
	// Address of a member.
	Address func(member int) string
}

// Name is etcd's.
func (Maker) Name() string { return "etcd" }

// New starts a cluster.
func (m Maker) New(ctx context.Context, dir string, members int) (store.Cluster, error) {
	binary, err := exec.LookPath("etcd")
	if err != nil {
		return nil, fmt.Errorf("start etcd (scripts/setup etcd-server installs it): %w", err)
	}
	c := &cluster{}
	var initial []string
	for i := range members {
		c.addresses = append(c.addresses, m.Address(i))
		initial = append(initial, fmt.Sprintf("m%d=http://%s:2380", i, m.Address(i)))
	}
	for i, address := range c.addresses {
		data := filepath.Join(dir, fmt.Sprintf("m%d", i))
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, err
		}
		clients, peers := "http://"+address+":2379", "http://"+address+":2380"
		c.processes = append(c.processes, &process.Process{Log: data + ".log", Args: []string{
			binary, "--name", fmt.Sprintf("m%d", i), "--data-dir", data, "--logger", "zap",
			"--listen-client-urls", clients, "--advertise-client-urls", clients,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", dir,
			"--quota-backend-bytes", fmt.Sprint(quota),
		}})
	}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

type cluster struct {
	addresses []string
	processes []*process.Process
}

func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for _, p := range c.processes {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for i, p := range c.processes {
		if err := p.WaitListening(ctx, c.addresses[i]+":2379"); err != nil {
			return err
		}
		if err := c.ready(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until a member answers a linearizable read.
func (c *cluster) ready(ctx context.Context, member int) error {
	client, err := c.dial(member)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.etcd.Get(ctx, "ready")
	return err
}

func (c *cluster) Members() int                        { return len(c.processes) }
func (c *cluster) Process(member int) *process.Process { return c.processes[member] }

func (c *cluster) Start(ctx context.Context, member int) error {
	if err := c.processes[member].Start(); err != nil {
		return err
	}
	return c.processes[member].WaitListening(ctx, c.addresses[member]+":2379")
}

func (c *cluster) Leader(ctx context.Context) (int, error) {
	for i := range c.processes {
		leads, err := c.leads(ctx, i)
		if err != nil {
			return 0, err
		}
		if leads {
			return i, nil
		}
	}
	return 0, fmt.Errorf("etcd: no member leads")
}

func (c *cluster) leads(ctx context.Context, member int) (bool, error) {
	client, err := c.dial(member)
	if err != nil {
		return false, err
	}
	defer client.Close()
	status, err := client.etcd.Status(ctx, c.endpoint(member))
	if err != nil {
		return false, fmt.Errorf("etcd: status of member %d: %w", member, err)
	}
	return status.Leader == status.Header.MemberId, nil
}

func (c *cluster) endpoint(member int) string { return "http://" + c.addresses[member] + ":2379" }

func (c *cluster) Dial(members ...int) (store.Client, error) { return c.dial(members...) }

func (c *cluster) dial(members ...int) (*client, error) {
	var endpoints []string
	for _, m := range members {
		endpoints = append(endpoints, c.endpoint(m))
	}
	e, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: dialTimeout, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("etcd: dial %v: %w", endpoints, err)
	}
	return &client{etcd: e}, nil
}

func (c *cluster) Close() {
	for _, p := range c.processes {
		p.Stop()
	}
}
