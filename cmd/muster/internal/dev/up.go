package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
)

// Options of a new cluster.
type Options struct {
	Name, Dir      string
	Servers, Nodes int
	// Timeout until the cluster must be ready.
	Timeout time.Duration
	// Out gets the progress.
	Out io.Writer
}

func (o Options) check() error {
	switch {
	case o.Servers < 1 || o.Servers > 9 || o.Servers%2 == 0:
		return fmt.Errorf("%d servers: choose 1, 3, 5, 7 or 9, so that a majority is clear", o.Servers)
	case o.Nodes < 0 || o.Nodes > 99:
		return fmt.Errorf("%d nodes: choose 0 to 99", o.Nodes)
	case os.Geteuid() != 0:
		return errors.New("a cluster with network namespaces and containers needs root: run it with sudo")
	}
	for _, program := range []string{"containerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil && o.Nodes > 0 {
			return fmt.Errorf("%s is missing: `make setup` or `apt-get install %s` installs it", program, program)
		}
	}
	return nil
}

// Up makes a cluster and returns when it is ready.
func Up(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	dir, err := DirOf(o.Name, o.Dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil {
		return fmt.Errorf("cluster %s is there already, at %s: `%s` shows it, `%s` removes it",
			o.Name, dir, commandFor("status", o.Name, dir), commandFor("down", o.Name, dir))
	}
	if err := refuseLeftovers(o.Name, dir); err != nil {
		return err
	}
	if err := refuseFull(dir); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()

	p := &progress{out: o.Out, start: time.Now()}
	c := newCluster(o.Name, dir, o.Servers, o.Nodes)
	if err := c.create(p); err != nil {
		return fmt.Errorf("start cluster %s (`%s` clears what was made): %w", o.Name, commandFor("down", o.Name, dir), err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := c.waitReady(ctx, p); err != nil {
		return fmt.Errorf("cluster %s is not ready (logs are in %s; `%s` removes it): %w",
			o.Name, filepath.Join(dir, "logs"), commandFor("down", o.Name, dir), err)
	}
	p.say("cluster %s is ready", o.Name)
	c.sayNext(o.Out)
	return nil
}

// refuseLeftovers keeps two clusters of one name in different directories apart.
func refuseLeftovers(name, dir string) error {
	entries, err := filepath.Glob(filepath.Join(netnsDir, netnsPrefix(name)+"*"))
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("something of a cluster %s is left, but not in %s: `muster dev down --name %s` removes it, or choose another --name", name, dir, name)
	}
	return nil
}

// refuseFull keeps others' files out of a directory that goes with the cluster.
func refuseFull(dir string) error {
	entries, err := entriesOf(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty, and what is in it would go with the cluster: choose another --data-dir", dir)
	}
	return err
}

// create makes the network and the identities and starts everything at once.
func (c *Cluster) create(p *progress) error {
	if err := c.createNetwork(); err != nil {
		return err
	}
	var err error
	if c.BalancerPort, err = freePort(); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	// Making certificates takes about as long as making namespaces.
	var group errgroup.Group
	group.Go(c.provision)
	group.Go(func() error {
		for _, m := range c.Members {
			if err := c.attach(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	p.say("network 10.89.%d.0/24 and certificates are made", c.Index)
	for _, m := range c.Members {
		if err := c.start(m, ""); err != nil {
			return err
		}
	}
	if err := c.startBalancer(); err != nil {
		return err
	}
	p.say("%s and %s are started", count(len(c.ofRole(Server)), "server"), count(len(c.ofRole(Node)), "node"))
	return c.save()
}

func (c *Cluster) provision() error {
	shared, err := provision.NewCluster(c.Name)
	if err != nil {
		return err
	}
	var servers []string
	for _, m := range c.ofRole(Server) {
		servers = append(servers, m.IP.String())
	}
	for i, m := range c.ofRole(Server) {
		if err := shared.WriteServer(provision.Server{
			DataDir: c.memberDir(m), Name: m.Name, Addresses: []string{m.IP.String()}, Bootstrap: i == 0, Servers: servers,
		}); err != nil {
			return err
		}
	}
	for _, m := range c.ofRole(Node) {
		if err := shared.WriteNode(c.memberDir(m), m.Name, servers); err != nil {
			return err
		}
	}
	return shared.WriteAdmin(c.kubeconfig(), c.Name, c.balancerAddress(), servers)
}

func (c *Cluster) balancerAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.BalancerPort))
}

// startBalancer starts the process behind kubectl's one address.
func (c *Cluster) startBalancer() error {
	args := []string{"dev", "balancer", "--listen", c.balancerAddress()}
	for _, m := range c.ofRole(Server) {
		args = append(args, "--server", provision.Address(m.IP.String(), provision.RESTPort))
	}
	var err error
	c.Balancer, err = spawn(spec{name: "balancer", cgroup: c.cgroup("balancer"), log: filepath.Join(c.dir, "logs", "balancer.log"), args: args})
	return err
}

func freePort() (int, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port, nil
}

// progress tells what was done, and when.
type progress struct {
	out   io.Writer
	start time.Time
}

func (p *progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, "%5.1fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

func (c *Cluster) sayNext(out io.Writer) {
	_, _ = fmt.Fprintf(out, `
  export KUBECONFIG=%s

Try next:
  kubectl get nodes -o wide
  muster image load FILE.tar   an image from an OCI or docker archive
  %s
  %s   and kubectl works on
  %s
`, c.kubeconfig(), commandFor("status", c.Name, c.dir), commandFor("kill server1", c.Name, c.dir), commandFor("down", c.Name, c.dir))
}

// Down removes a cluster and all it left, whatever still runs of it.
func Down(name, dir string, out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("removing a cluster needs root: run it with sudo")
	}
	dir, err := DirOf(name, dir)
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err == nil {
		defer unlock()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c, err := forRemoval(name, dir)
	if err != nil {
		return fmt.Errorf("remove cluster %s: %w", name, err)
	}
	if err := c.remove(); err != nil {
		return fmt.Errorf("remove cluster %s: %w", name, err)
	}
	_, err = fmt.Fprintf(out, "cluster %s is gone\n", name)
	return err
}
