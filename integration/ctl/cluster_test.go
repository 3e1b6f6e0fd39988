//go:build root

package ctl_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/integration/memnet"
	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/apiserver"
	"github.com/musterhq/muster/services/controllermanager"
	"github.com/musterhq/muster/services/scheduler"
)

// cluster is a server with all its roles and two nodes whose containers are
// pretended, in this process, on loopback.
type cluster struct {
	dir       string
	authority *pki.CA
	grpc      string
	gossip    *memnet.Network
	admin     *sdk.Client
}

// start runs a cluster as long as ctx lives and returns once its nodes are ready. It
// keeps its files in dir.
func start(ctx context.Context, group *errgroup.Group, dir string) (*cluster, error) {
	c := &cluster{dir: dir, gossip: memnet.New()}
	var err error
	if c.authority, err = pki.NewCA("ctl"); err != nil {
		return nil, err
	}
	if err := c.serve(ctx, group); err != nil {
		return nil, err
	}
	for i := range 2 {
		if err := c.node(ctx, group, i+1); err != nil {
			return nil, err
		}
	}
	if c.admin, err = c.dial(pki.AdminIdentity()); err != nil {
		return nil, err
	}
	return c, harness.Eventually(ctx, time.Minute, func() error { return c.nodesReady(ctx) })
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

// serve starts the server and writes the administrator's kubeconfig.
func (c *cluster) serve(ctx context.Context, group *errgroup.Group) error {
	listeners, err := listen(3)
	if err != nil {
		return err
	}
	c.grpc = listeners[1].Addr().String()
	pair, err := c.pair(pki.ServerIdentity("s1"))
	if err != nil {
		return err
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	api, err := apiserver.New(apiserver.Config{
		Name: "s1", DataDir: filepath.Join(c.dir, "server"), AdvertiseAddress: "127.0.0.1", ClusterID: "ctl",
		RESTListener: listeners[0], GRPCListener: listeners[1], RaftListener: listeners[2],
		Authority: c.authority, KeyPair: pair, ServiceAccountKeyPEM: key, Bootstrap: true, InMemory: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	group.Go(func() error { return api.Run(ctx) })
	if err := api.WaitReady(ctx); err != nil {
		return err
	}
	group.Go(func() error { return c.runScheduler(ctx) })
	group.Go(func() error { return c.runControllers(ctx) })
	return c.writeKubeconfig(listeners[0].Addr().String())
}

func (c *cluster) runScheduler(ctx context.Context) error {
	client, err := c.dial(pki.Identity{User: "system:kube-scheduler"})
	if err != nil {
		return err
	}
	s, err := scheduler.New(scheduler.Config{Client: client, Identity: "s1"})
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), client.Close())
}

func (c *cluster) runControllers(ctx context.Context) error {
	identity := pki.Identity{User: "system:kube-controller-manager"}
	client, err := c.dial(identity)
	if err != nil {
		return err
	}
	pair, err := c.pair(identity)
	if err != nil {
		return err
	}
	m, err := controllermanager.New(controllermanager.Config{
		Client: client, Identity: "s1", PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), RootCA: c.authority.CertificatePEM(),
		ProbeTLS: pair.PeerTLS(func(pki.Identity) error { return nil }),
	})
	if err != nil {
		return err
	}
	return errors.Join(m.Run(ctx), client.Close())
}

// node starts an agent with a runtime that runs nothing.
func (c *cluster) node(ctx context.Context, group *errgroup.Group, number int) error {
	name, host := fmt.Sprintf("node%d", number), fmt.Sprintf("10.2.0.%d", number)
	pair, err := c.pair(pki.NodeIdentity(name))
	if err != nil {
		return err
	}
	listeners, err := listen(1)
	if err != nil {
		return err
	}
	c.gossip.Boot(host)
	transport, err := c.gossip.Gossip(host, agent.DefaultGossipPort)
	if err != nil {
		return err
	}
	pods := &sim.PodNetwork{}
	a, err := agent.New(agent.Config{
		NodeName: name, NodeIP: netip.MustParseAddr("127.0.0.1"), DataDir: filepath.Join(c.dir, name), Servers: []string{c.grpc},
		KeyPair: pair, GossipKey: make([]byte, 32), GossipTransport: transport, GossipJoin: func() []string { return nil },
		Runtime: fake.New(images...), RuntimeName: "fake", Listener: listeners[0], Connect: pods.Connect,
	})
	if err != nil {
		return err
	}
	group.Go(func() error { return a.Run(ctx) })
	return nil
}

// images are what the registry holds.
var images = []string{"nginx", "nginx:1.27", "busybox"}

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

func listen(n int) ([]net.Listener, error) {
	var all []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func (c *cluster) pair(id pki.Identity) (*pki.KeyPair, error) {
	cert, key, err := c.authority.Issue(id, pki.ServerAddresses("127.0.0.1"), time.Hour)
	if err != nil {
		return nil, err
	}
	return pki.NewKeyPair(cert, key, c.authority.CertificatePEM())
}

func (c *cluster) dial(id pki.Identity) (*sdk.Client, error) {
	pair, err := c.pair(id)
	if err != nil {
		return nil, err
	}
	return sdk.Dial(sdk.Config{Servers: []string{c.grpc}, TLS: pair.PeerTLS(pki.IsServer, "h2")})
}

func (c *cluster) kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// writeKubeconfig writes the administrator's. Files are named, so that a test can
// copy the text and change its namespace.
func (c *cluster) writeKubeconfig(address string) error {
	admin, err := c.pair(pki.AdminIdentity())
	if err != nil {
		return err
	}
	if err := admin.Save(c.dir, "admin"); err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: ctl
contexts: [{name: ctl, context: {cluster: ctl, user: admin, namespace: NAMESPACE}}]
clusters: [{name: ctl, cluster: {server: "https://%s", certificate-authority: %s/ca.crt}}]
users: [{name: admin, user: {client-certificate: %[2]s/admin.crt, client-key: %[2]s/admin.key}}, {name: stranger, user: {token: nobody}}]
`, address, c.dir)
	return os.WriteFile(c.kubeconfig(), []byte(text), 0o600)
}
