//go:build root

package ctl_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/integration/memnet"
	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/controllermanager"
	"github.com/musterhq/muster/services/scheduler"
)

// cluster is a server with all its roles and two nodes whose containers are
// pretended, in this process, on loopback.
type cluster struct {
	*loopback.Server
	files  loopback.Files
	admin  *sdk.Client
	home   string // of all kubectls, as what discovery told one tells the others
	gossip *memnet.Network
}

// start runs a cluster until the test ends and returns once its nodes are ready.
func start(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{Server: loopback.Start(t), home: t.TempDir(), gossip: memnet.New()}
	c.files, c.admin = c.Files(), c.SDK()
	ctx, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	c.roles(t, ctx, group)
	for i := range 2 {
		c.node(t, ctx, group, dir, i+1)
	}
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("the cluster ended: %v", err)
		}
	})
	if err := harness.Eventually(ctx, time.Minute, func() error { return c.nodesReady(ctx) }); err != nil {
		t.Fatal(err)
	}
	return c
}

// roles runs what makes a cluster of an apiserver.
func (c *cluster) roles(t *testing.T, ctx context.Context, group *errgroup.Group) {
	t.Helper()
	s, err := scheduler.New(scheduler.Config{Client: c.SDKOf(pki.Identity{User: "system:kube-scheduler"}), Identity: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	identity := pki.Identity{User: "system:kube-controller-manager"}
	m, err := controllermanager.New(controllermanager.Config{
		Client: c.SDKOf(identity), Identity: "s1", PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), RootCA: []byte(read(t, c.files.CA)),
		ProbeTLS: c.KeyPair(identity).PeerTLS(func(pki.Identity) error { return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error { return m.Run(ctx) })
}

// images are what the registry holds.
var images = []string{"nginx", "busybox"}

// node runs an agent with a runtime that runs nothing.
func (c *cluster) node(t *testing.T, ctx context.Context, group *errgroup.Group, dir string, number int) {
	t.Helper()
	name, host := fmt.Sprintf("node%d", number), fmt.Sprintf("10.2.0.%d", number)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.gossip.Boot(host)
	transport, err := c.gossip.Gossip(host, agent.DefaultGossipPort)
	if err != nil {
		t.Fatal(err)
	}
	pods := &sim.PodNetwork{}
	a, err := agent.New(agent.Config{
		NodeName: name, NodeIP: netip.MustParseAddr("127.0.0.1"), DataDir: filepath.Join(dir, name), Servers: []string{c.GRPC},
		KeyPair: c.KeyPair(pki.NodeIdentity(name)), GossipKey: make([]byte, 32), GossipTransport: transport, GossipJoin: func() []string { return nil },
		Runtime: fake.New(images...), RuntimeName: "fake", Listener: listener, Connect: pods.Connect,
	})
	if err != nil {
		t.Fatal(err)
	}
	group.Go(func() error { return a.Run(ctx) })
}

func (c *cluster) nodesReady(ctx context.Context) error {
	page, err := sdk.List[*corev1.Node](ctx, c.admin, sdk.ListOptions{})
	if err != nil {
		return err
	}
	ready := 0
	for _, n := range page.Items {
		if slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}) {
			ready++
		}
	}
	if ready < 2 {
		return fmt.Errorf("%d nodes are ready of %+v", ready, page.Items)
	}
	return nil
}

// unmount removes what the agents mounted for pods that are still there.
func unmount(dir string) error {
	table, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		if path := strings.Fields(line)[1]; strings.HasPrefix(path, dir+"/") {
			err = errors.Join(err, unix.Unmount(path, 0))
		}
	}
	return err
}
