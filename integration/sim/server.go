package sim

import (
	"context"
	"crypto/tls"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/apiserver"
	"github.com/musterhq/muster/services/controllermanager"
	"github.com/musterhq/muster/services/scheduler"
)

// Server is an apiserver with a scheduler and a controller manager.
type Server struct {
	Name, Host string

	cluster  *Cluster
	dir      string
	nonVoter bool
	joined   bool
	api      *apiserver.Server
	running  *process
}

// Start starts the server. The very first time, the first server forms the
// cluster and another joins it.
func (s *Server) Start() {
	c := s.cluster
	c.t.Helper()
	if s.running != nil {
		<-s.running.done // was killed, and has its log still open
	}
	c.Net.Boot(s.Host)
	pair := c.keyPair(pki.ServerIdentity(s.Name), s.Host)
	transport, err := c.Net.Gossip(s.Host, 7946)
	if err != nil {
		c.t.Fatal(err)
	}
	s.api, err = apiserver.New(apiserver.Config{
		Name: s.Name, DataDir: s.dir, AdvertiseAddress: s.Host, ClusterID: "sim",
		RESTListener: s.listen("6443"), GRPCListener: s.listen("6442"), RaftListener: s.listen("6444"),
		Authority: c.authority, KeyPair: pair, ServiceAccountKeyPEM: c.accounts, Bootstrap: s.Name == "server1",
		NonVoter: s.nonVoter, RemoveDeadAfter: RemoveDeadAfter,
		GossipKey: gossipKey, GossipListen: s.Host + ":7946", GossipSeeds: c.gossipAddresses(), GossipTransport: transport,
		Dial: c.Net.Dialer(s.Host), Logger: c.log.With("server", s.Name),
	})
	if err != nil {
		_ = transport.Shutdown() // else the bubble's end would hide the reason
		c.t.Fatalf("start %s: %v", s.Name, err)
	}
	api := s.api
	s.running = run(func(ctx context.Context) error { return s.run(ctx, api) })
	if s != c.Servers[0] && !s.joined {
		s.join(pair, c.Servers[:1])
	}
	s.joined = true
}

// WaitReady waits until the server serves reads and writes.
func (s *Server) WaitReady() {
	s.cluster.t.Helper()
	s.cluster.Eventually(readyTime, s.api.WaitReady)
}

func (s *Server) listen(port string) net.Listener {
	l, err := s.cluster.Net.Listen(net.JoinHostPort(s.Host, port))
	if err != nil {
		s.cluster.t.Fatal(err)
	}
	return l
}

// join asks some servers to make this one a member, or to note where it is.
func (s *Server) join(pair *pki.KeyPair, through []*Server) {
	c := s.cluster
	client, err := sdk.Dial(c.clientConfig(s.Host, pair.PeerTLS(pki.IsServer), through))
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = clusterv1.NewClusterServiceClient(client.Conn()).AddServer(c.t.Context(),
		&clusterv1.AddServerRequest{Id: s.Name, RaftAddress: s.Host + ":6444", NonVoter: s.nonVoter})
	if err != nil {
		c.t.Fatal(err)
	}
	_ = client.Close()
}

func (s *Server) run(ctx context.Context, api *apiserver.Server) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return api.Run(ctx) })
	if !s.cluster.roles {
		return g.Wait()
	}
	g.Go(func() error {
		if err := api.WaitReady(ctx); err != nil {
			return err
		}
		return s.runRoles(ctx)
	})
	return g.Wait()
}

// runRoles runs the scheduler and the controller manager, each by its own
// identity, and looks in the end whether a controller modified a cached object.
func (s *Server) runRoles(ctx context.Context) error {
	c := s.cluster
	scheduling := c.client(s.Host, pki.Identity{User: "system:kube-scheduler"}, c.Servers...)
	defer func() { _ = scheduling.Close() }()
	controlling := c.client(s.Host, managerIdentity, c.Servers...)
	defer func() { _ = controlling.Close() }()
	sched, err := scheduler.New(scheduler.Config{Client: scheduling, Identity: s.Name, Logger: c.log.With("server", s.Name)})
	if err != nil {
		return err
	}
	manager, err := controllermanager.New(controllermanager.Config{
		Client: controlling, Identity: s.Name, PodCIDR: podCIDR, RootCA: c.authority.CertificatePEM(),
		ProbeTLS: s.probeTLS(), ProbeDial: c.Net.Dialer(s.Host),
		TrackMutations: true, Logger: c.log.With("server", s.Name),
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sched.Run(ctx) })
	g.Go(func() error { return manager.Run(ctx) })
	err = g.Wait()
	for _, name := range manager.Modified() {
		c.t.Errorf("%s: a controller modified the cached object %s", s.Name, name)
	}
	return err
}

var managerIdentity = pki.Identity{User: "system:kube-controller-manager"}

func (s *Server) probeTLS() *tls.Config {
	return s.cluster.keyPair(managerIdentity).PeerTLS(func(pki.Identity) error { return nil })
}

// Stop ends the server in order.
func (s *Server) Stop() {
	if s.running == nil {
		return
	}
	if err := s.running.stop(); err != nil {
		s.cluster.t.Errorf("%s: %v", s.Name, err)
	}
	s.running = nil
}

// Kill ends the server as kill -9 does: nothing that it does from now on is
// heard of.
func (s *Server) Kill() {
	s.cluster.Net.Crash(s.Host)
	s.running.cancel()
}

// Cut pulls the machine's cable, Heal plugs it in again.
func (s *Server) Cut()  { s.cluster.Net.Cut(s.Host) }
func (s *Server) Heal() { s.cluster.Net.Heal(s.Host) }
