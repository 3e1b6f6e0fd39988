// Package agent runs a node: it registers the Node, sets up its network, proxy
// and DNS, and runs the pods that are assigned to it.
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/agent/dns"
	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/stream"
	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/events"
	"github.com/musterhq/muster/sdk/informer"
)

// endRetry is how soon the runtime is asked again.
const endRetry = 5 * time.Second

// Agent is one node's agent.
type Agent struct {
	cfg          Config
	client       *sdk.Client
	pods         *informer.Informer[*corev1.Pod]
	services     *informer.Informer[*corev1.Service]
	slices       *informer.Informer[*discoveryv1.EndpointSlice]
	nodes        *informer.Informer[*corev1.Node]
	recorder     *events.Recorder
	networkReady chan struct{}
}

// New checks the configuration, listens and prepares the connection; nothing
// runs before Run.
func New(cfg Config) (*Agent, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("new agent: %w", err)
	}
	client, err := sdk.Dial(sdk.Config{
		Servers: cfg.Servers, TLS: cfg.KeyPair.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster-agent",
		Dialer: cfg.Dialer, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("new agent: %w", err)
	}
	if cfg.Listener == nil {
		address := netip.AddrPortFrom(cfg.NodeIP, DefaultPort).String()
		if cfg.Listener, err = net.Listen("tcp", address); err != nil {
			return nil, errors.Join(fmt.Errorf("new agent: %w", err), client.Close())
		}
	}
	a := &Agent{
		cfg: cfg, client: client, networkReady: make(chan struct{}),
		pods:     informer.New[*corev1.Pod](client, informer.Options{FieldSelector: "spec.nodeName=" + cfg.NodeName, Logger: cfg.Logger}),
		services: informer.New[*corev1.Service](client, informer.Options{Logger: cfg.Logger}),
		slices:   informer.New[*discoveryv1.EndpointSlice](client, informer.Options{Logger: cfg.Logger}),
		nodes:    informer.New[*corev1.Node](client, informer.Options{Logger: cfg.Logger}),
		recorder: events.New(events.Config{Client: client, Component: "kubelet", Host: cfg.NodeName, Logger: cfg.Logger}),
	}
	dns.AddIndexes(a.services, a.slices)
	return a, nil
}

// Run serves until ctx ends and leaves the pods, their network and the service
// rules as they are.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.client.Close()) }()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.serve(ctx) })
	group.Go(func() error { return a.gossip(ctx) })
	group.Go(func() error { return a.recorder.Run(ctx) })
	group.Go(func() error { return a.pods.Run(ctx) })
	group.Go(func() error { return a.services.Run(ctx) })
	group.Go(func() error { return a.slices.Run(ctx) })
	group.Go(func() error { return a.nodes.Run(ctx) })
	group.Go(func() error { return a.start(ctx, group) })
	group.Go(func() error { return a.endCommands(ctx) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// start brings the node up in the order in which things need each other.
func (a *Agent) start(ctx context.Context, group *errgroup.Group) error {
	_, port, err := net.SplitHostPort(a.cfg.Listener.Addr().String())
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	registrar, err := node.New(node.Config{
		Client: a.client, Name: a.cfg.NodeName, IP: a.cfg.NodeIP, Port: number, DataDir: a.cfg.DataDir,
		Labels: a.cfg.Labels, RuntimeVersion: a.cfg.Runtime.Version, Measure: a.cfg.Measure, Logger: a.cfg.Logger.With("component", "node"),
	})
	if err != nil {
		return err
	}
	if err := registrar.Register(ctx); err != nil {
		return err
	}
	defer a.nodes.OnChange(func(old, new *corev1.Node) {
		if new == nil && old.Name == a.cfg.NodeName {
			registrar.Lost(a.freeRange(old.Spec.PodCIDR))
		}
	})()
	group.Go(func() error { return registrar.Run(ctx) })
	podCIDR, err := a.awaitPodCIDR(ctx)
	if err != nil {
		return err
	}
	connect := a.connect
	if a.cfg.Connect != nil {
		connect = func(ctx context.Context, _ *errgroup.Group, podCIDR netip.Prefix) (pod.Network, error) {
			return a.cfg.Connect(ctx, podCIDR)
		}
	}
	net, err := connect(ctx, group, podCIDR)
	if err != nil {
		return err
	}
	close(a.networkReady)
	return a.runPods(ctx, net, registrar.Capacity())
}

func (a *Agent) serve(ctx context.Context) error {
	guard := access.NewGuard(access.UserFromPeer)
	creds := credentials.NewTLS(a.cfg.KeyPair.ServerTLS(tls.RequireAndVerifyClientCert, "h2"))
	srv := serve.NewGRPCServer(creds, guard)
	agentv1.RegisterAgentServiceServer(srv, &service{agent: a, streams: stream.New(a.pods, a.cfg.Runtime)})
	if err := guard.CheckServer(srv); err != nil {
		return err
	}
	return serve.GRPC(ctx, a.cfg.Logger.With("component", "service"), a.cfg.Listener, srv)
}

// endCommands kills what an agent before this one ran for somebody who is gone
// with it. The runtime may be away for a while.
func (a *Agent) endCommands(ctx context.Context) error {
	for {
		err := a.cfg.Runtime.EndCommands(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		a.cfg.Logger.Warn("end commands of an earlier agent", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(endRetry):
		}
	}
}

func (a *Agent) gossip(ctx context.Context) error {
	pool, err := gossip.New(gossip.Config{
		Role: gossip.Node, Name: a.cfg.NodeName, Listen: a.cfg.GossipListen, Advertise: a.cfg.NodeIP,
		AgentAddress: a.cfg.Listener.Addr().String(), Key: a.cfg.GossipKey,
		Transport: a.cfg.GossipTransport,
		Seeds:     func(context.Context) []string { return a.cfg.GossipJoin() },
		Logger:    a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	return pool.Run(ctx)
}
