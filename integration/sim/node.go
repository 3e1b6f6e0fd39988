package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/internal/pki"
)

// images are what the registry of every cluster holds.
var images = []string{"whoami:1", "whoami:2", "busybox"}

// pullTime keeps pods from being there all in one moment.
const pullTime = 100 * time.Millisecond

// Node is a machine with an agent. Its runtime and the addresses of its pods
// outlive the agent.
type Node struct {
	Name, Host string
	Runtime    *fake.Runtime
	Pods       *PodNetwork

	cluster *Cluster
	dir     string
	running *process
}

func newNode(c *Cluster, name, host string) *Node {
	r := fake.New(images...)
	r.SetPullTime(pullTime)
	return &Node{Name: name, Host: host, Runtime: r, Pods: &PodNetwork{}, cluster: c, dir: c.t.TempDir()}
}

// Start starts the agent.
func (n *Node) Start() {
	c := n.cluster
	c.t.Helper()
	if n.running != nil {
		<-n.running.done // was killed, and has its directory still open
	}
	c.Net.Boot(n.Host)
	transport, err := c.Net.Gossip(n.Host, 7946)
	if err != nil {
		c.t.Fatal(err)
	}
	listener, err := c.Net.Listen(net.JoinHostPort(n.Host, "10250"))
	if err != nil {
		c.t.Fatal(err)
	}
	seeds := c.gossipAddresses()
	a, err := agent.New(agent.Config{
		NodeName: n.Name, NodeIP: netip.MustParseAddr(n.Host), DataDir: n.dir, Servers: apiAddresses(c.Servers),
		KeyPair: c.keyPair(pki.NodeIdentity(n.Name), n.Host), GossipKey: gossipKey, GossipJoin: func() []string { return seeds },
		Runtime: n.Runtime, RuntimeName: "fake", Listener: listener, Dialer: c.Net.Dialer(n.Host),
		GossipTransport: transport, Connect: n.Pods.Connect, Measure: roomy, Logger: c.log,
	})
	if err != nil {
		_ = listener.Close()
		_ = transport.Shutdown() // else the bubble's end would hide the reason
		c.t.Fatalf("start %s: %v", n.Name, err)
	}
	n.running = run(a.Run)
}

// roomy is a machine that lacks nothing: the one under the test is not the cluster's.
func roomy(string) (node.Pressure, error) { return node.Pressure{}, nil }

// Stop ends the agent in order; its pods run on.
func (n *Node) Stop() {
	if n.running == nil {
		return
	}
	if err := n.running.stop(); err != nil {
		n.cluster.t.Errorf("%s: %v", n.Name, err)
	}
	n.running = nil
}

// Kill ends the agent as kill -9 does: it says goodbye to nobody, and nothing
// that it does from now on is heard of. Its pods run on.
func (n *Node) Kill() {
	n.cluster.Net.Crash(n.Host)
	n.running.cancel()
}

// Cut pulls the machine's cable, Heal plugs it in again.
func (n *Node) Cut()  { n.cluster.Net.Cut(n.Host) }
func (n *Node) Heal() { n.cluster.Net.Heal(n.Host) }

// PodNetwork gives out a node's pod addresses.
type PodNetwork struct {
	mu    sync.Mutex
	cidr  netip.Prefix
	taken map[string]netip.Addr // by pod
}

func (p *PodNetwork) Connect(_ context.Context, cidr netip.Prefix) (pod.Network, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cidr.IsValid() && p.cidr != cidr {
		return nil, fmt.Errorf("the node's pod CIDR was %s and is %s", p.cidr, cidr)
	}
	p.cidr = cidr
	if p.taken == nil {
		p.taken = map[string]netip.Addr{}
	}
	return p, nil
}

// Attach implements pod.Network.
func (p *PodNetwork) Attach(_ context.Context, uid, _ string) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.taken[uid]; ok {
		return a, nil
	}
	used := map[netip.Addr]bool{}
	for _, a := range p.taken {
		used[a] = true
	}
	// The first address is the bridge's.
	for a := p.cidr.Addr().Next().Next(); p.cidr.Contains(a); a = a.Next() {
		if !used[a] {
			p.taken[uid] = a
			return a, nil
		}
	}
	return netip.Addr{}, errors.New("no address is left")
}

// Detach implements pod.Network.
func (p *PodNetwork) Detach(_ context.Context, uid, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, uid)
	return nil
}

// Addresses returns how many are given out.
func (p *PodNetwork) Addresses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}
