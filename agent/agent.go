// Package agent runs a node: it registers the Node, sets up its network, proxy
// and DNS, and runs the pods that are assigned to it.
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/agent/dns"
	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/events"
	"github.com/musterhq/muster/sdk/informer"
)

// The ports of an agent.
const (
	DefaultPort       = 10250
	DefaultGossipPort = 7946
)

// Config says which node this is and where its cluster is.
type Config struct {
	NodeName string
	NodeIP   netip.Addr
	// DataDir keeps addresses, volumes and logs over restarts.
	DataDir string
	// Servers are the apiservers' gRPC addresses, host:port.
	Servers []string
	// KeyPair identifies this node (system:node:NAME) to everybody.
	KeyPair *pki.KeyPair
	// GossipKey encrypts gossip; GossipJoin are members to join, host:port.
	GossipKey  []byte
	GossipJoin []string
	// GossipListen is NodeIP and DefaultGossipPort when empty.
	GossipListen string
	// Runtime runs the containers; RuntimeName ("containerd" when empty) is what
	// their IDs begin with.
	Runtime     runtime.Runtime
	RuntimeName string
	// ProxyMode is auto, ipvs or nftables; auto when empty.
	ProxyMode string
	// Overlay is vxlan or routes; vxlan when empty.
	Overlay string
	// CgroupParent holds the pods' cgroups; /muster when empty.
	CgroupParent string
	// ClusterDomain is cluster.local when empty.
	ClusterDomain string
	// ClusterDNS is 10.96.0.10, ServiceCIDR 10.96.0.0/12 and ClusterCIDR (the
	// pods') 10.244.0.0/16 when not set.
	ClusterDNS               netip.Addr
	ServiceCIDR, ClusterCIDR netip.Prefix
	// Labels of the Node besides those of Kubernetes.
	Labels map[string]string
	// Listener of the AgentService; NodeIP and DefaultPort when nil.
	Listener net.Listener
	// Dialer opens connections to the servers; nil is TCP.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
	// GossipTransport replaces gossip's sockets, where there is no network.
	GossipTransport memberlist.Transport
	// Connect replaces this machine's network, proxy and DNS, where pods are not
	// real either.
	Connect func(ctx context.Context, podCIDR netip.Prefix) (pod.Network, error)
	Logger  *slog.Logger
}

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

func (c *Config) complete() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("node", c.NodeName)
	if c.NodeName == "" || !c.NodeIP.IsValid() || c.KeyPair == nil || c.Runtime == nil || len(c.Servers) == 0 {
		return errors.New("node name, node address, key pair, runtime and servers are required")
	}
	if !filepath.IsAbs(c.DataDir) {
		return fmt.Errorf("data directory %q is not absolute", c.DataDir)
	}
	text := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	text(&c.GossipListen, netip.AddrPortFrom(c.NodeIP, DefaultGossipPort).String())
	text(&c.RuntimeName, "containerd")
	text(&c.CgroupParent, "/muster")
	text(&c.ClusterDomain, "cluster.local")
	if !c.ClusterDNS.IsValid() {
		c.ClusterDNS = netip.AddrFrom4([4]byte{10, 96, 0, 10})
	}
	if !c.ServiceCIDR.IsValid() {
		c.ServiceCIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96, 0, 0}), 12)
	}
	if !c.ClusterCIDR.IsValid() {
		c.ClusterCIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, 0, 0}), 16)
	}
	return os.MkdirAll(c.DataDir, 0o750)
}

func (a *Agent) logDir() string { return filepath.Join(a.cfg.DataDir, "logs") }

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
		Labels: a.cfg.Labels, RuntimeVersion: a.cfg.Runtime.Version, Logger: a.cfg.Logger.With("component", "node"),
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

// runPods hands every version of this node's pods to their workers.
func (a *Agent) runPods(ctx context.Context, net pod.Network, capacity corev1.ResourceList) error {
	// Services go into environments: without them a container starts wrong.
	if err := a.services.WaitSynced(ctx); err != nil {
		return err
	}
	manager := pod.New(pod.Config{
		NodeName: a.cfg.NodeName, NodeIPs: []netip.Addr{a.cfg.NodeIP},
		Dir: filepath.Join(a.cfg.DataDir, "pods"), LogDir: a.logDir(), CgroupParent: a.cfg.CgroupParent,
		ClusterDomain: a.cfg.ClusterDomain, ClusterDNS: []netip.Addr{a.cfg.ClusterDNS},
		Allocatable: capacity, RuntimeName: a.cfg.RuntimeName, NodeReady: a.nodeReady, Runtime: a.cfg.Runtime, Network: net,
		API: pod.NewAPI(a.client), Services: a.services, Events: a.recorder,
		Logger: a.cfg.Logger.With("component", "pod"),
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return manager.Run(ctx) })
	group.Go(func() error { return a.collectImages(ctx) })
	group.Go(func() error {
		if err := a.pods.WaitSynced(ctx); err != nil {
			return err
		}
		defer a.pods.OnChange(func(old, new *corev1.Pod) {
			if new == nil {
				manager.Remove(string(old.UID))
				return
			}
			manager.Set(new)
		})()
		manager.Synced()
		defer a.nodes.OnChange(func(old, new *corev1.Node) {
			if new != nil && new.Name == a.cfg.NodeName && isReady(new) && (old == nil || !isReady(old)) {
				manager.Reassert()
			}
		})()
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// collectImages removes images that nobody uses when the disk gets full.
func (a *Agent) collectImages(ctx context.Context) error {
	notify := func(eventType, reason, message string) {
		if n, ok := a.nodes.Get("", a.cfg.NodeName); ok {
			a.recorder.Event(n, eventType, reason, "%s", message)
		}
	}
	return image.NewCollector(a.cfg.Runtime, notify, a.cfg.Logger.With("component", "images")).Run(ctx)
}

// nodeReady says whether the cluster holds this node for ready.
func (a *Agent) nodeReady() bool {
	n, ok := a.nodes.Get("", a.cfg.NodeName)
	return ok && isReady(n)
}

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (a *Agent) serve(ctx context.Context) error {
	guard := access.NewGuard(access.UserFromPeer)
	creds := credentials.NewTLS(a.cfg.KeyPair.ServerTLS(tls.RequireAndVerifyClientCert, "h2"))
	srv := serve.NewGRPCServer(creds, guard)
	agentv1.RegisterAgentServiceServer(srv, &service{agent: a})
	if err := guard.CheckServer(srv); err != nil {
		return err
	}
	return serve.GRPC(ctx, a.cfg.Logger.With("component", "service"), a.cfg.Listener, srv)
}

func (a *Agent) gossip(ctx context.Context) error {
	pool, err := gossip.New(gossip.Config{
		Role: gossip.Node, Name: a.cfg.NodeName, Listen: a.cfg.GossipListen, Advertise: a.cfg.NodeIP,
		AgentAddress: a.cfg.Listener.Addr().String(), Key: a.cfg.GossipKey,
		Transport: a.cfg.GossipTransport,
		Seeds:     func(context.Context) []string { return a.cfg.GossipJoin },
		Logger:    a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	return pool.Run(ctx)
}
