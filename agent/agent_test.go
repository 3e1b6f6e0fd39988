package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/network"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/internal/pki"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/sdk/sdktest"
)

// config is the least that an agent needs to be told.
func config(t *testing.T) Config {
	return Config{
		NodeName: "n1", NodeIP: netip.MustParseAddr("192.0.2.1"), DataDir: filepath.Join(t.TempDir(), "data"),
		Servers: []string{"192.0.2.9:6442"}, KeyPair: new(pki.KeyPair), Runtime: fake.New(),
	}
}

func TestConfigDefaults(t *testing.T) {
	c := config(t)
	c.CgroupParent = "/mine"
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][2]string{
		"gossip":         {c.GossipListen, "192.0.2.1:7946"},
		"runtime":        {c.RuntimeName, "containerd"},
		"cgroup":         {c.CgroupParent, "/mine"},
		"domain":         {c.ClusterDomain, "cluster.local"},
		"DNS":            {c.ClusterDNS.String(), "10.96.0.10"},
		"service range":  {c.ServiceCIDR.String(), "10.96.0.0/12"},
		"pod range":      {c.ClusterCIDR.String(), "10.244.0.0/16"},
		"data directory": {filepath.Base(c.DataDir), "data"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %s, want %s", name, got[0], got[1])
		}
	}
	if matches, err := filepath.Glob(c.DataDir); err != nil || len(matches) != 1 {
		t.Errorf("the data directory was not made: %v", err)
	}
}

func TestConfigIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"node name, node address, key pair, runtime and servers are required": func(c *Config) { c.Servers = nil },
		`data directory "data" is not absolute`:                               func(c *Config) { c.DataDir = "data" },
	} {
		c := config(t)
		spoil(&c)
		if _, err := New(c); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// member is a node with an address and a pod network, either of which may be empty.
func member(name, address, cidr string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: cidr}}
	if address != "" {
		n.Status.Addresses = []corev1.NodeAddress{
			{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeInternalIP, Address: "198.51.100.1"},
		}
	}
	return n
}

func TestPeerOf(t *testing.T) {
	whole := network.Peer{Node: "n2", NodeIP: netip.MustParseAddr("192.0.2.2"), PodCIDR: netip.MustParsePrefix("10.244.2.0/24")}
	for _, tc := range []struct {
		node *corev1.Node
		want network.Peer
	}{
		{member("n2", "192.0.2.2", "10.244.2.0/24"), whole},
		{member("n2", "192.0.2.2", ""), network.Peer{Node: "n2", NodeIP: whole.NodeIP}},
		{member("n2", "", "10.244.2.0/24"), network.Peer{Node: "n2", PodCIDR: whole.PodCIDR}},
		{member("n2", "n2.example", "10.244.2.0"), network.Peer{Node: "n2", NodeIP: netip.MustParseAddr("198.51.100.1")}},
	} {
		if got := peerOf(tc.node); got != tc.want {
			t.Errorf("%v, want %v", got, tc.want)
		}
	}
}

func TestFreeRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		a := &Agent{cfg: Config{NodeName: "n1", Logger: slog.New(slog.DiscardHandler)}, nodes: informer.New[*corev1.Node](client, informer.Options{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.nodes.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for _, n := range []*corev1.Node{member("n1", "", "10.244.1.0/24"), member("n2", "", "10.244.2.0/24")} {
			if _, err := sdk.Create(ctx, client, n); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for cidr, want := range map[string]string{"10.244.1.0/24": "10.244.1.0/24", "10.244.2.0/24": "", "": ""} {
			if got := a.freeRange(cidr); got != want {
				t.Errorf("%q: %q, want %q", cidr, got, want)
			}
		}
		if got, err := a.awaitPodCIDR(ctx); err != nil || got.String() != "10.244.1.0/24" {
			t.Errorf("pod CIDR %s, %v", got, err)
		}
	})
}

// stub is a runtime that knows one pod, or fails.
type stub struct {
	runtime.Runtime
	pod runtime.Pod
	err error
}

// Pod implements runtime.Runtime.
func (s stub) Pod(context.Context, string) (runtime.Pod, error) { return s.pod, s.err }

func TestLogEnded(t *testing.T) {
	pod := runtime.Pod{Containers: []runtime.Container{
		{LogPath: "/logs/0.log", State: runtime.Exited}, {LogPath: "/logs/1.log", State: runtime.Running},
	}}
	for _, tc := range []struct {
		name, path string
		runtime    stub
		want       bool
	}{
		{"it exited", "/logs/0.log", stub{pod: pod}, true},
		{"it runs", "/logs/1.log", stub{pod: pod}, false},
		{"it was removed", "/logs/2.log", stub{pod: pod}, true},
		{"its pod was removed", "/logs/1.log", stub{err: runtime.ErrNotFound}, true},
		{"the runtime is away", "/logs/1.log", stub{err: errors.New("connection refused")}, false},
	} {
		a := &Agent{cfg: Config{Runtime: tc.runtime}}
		if got := a.logEnded(t.Context(), "uid", tc.path); got != tc.want {
			t.Errorf("%s: ended %v, want %v", tc.name, got, tc.want)
		}
	}
}

// sink takes a number of messages before it breaks.
type sink struct {
	grpc.ServerStreamingServer[agentv1.LogsResponse]
	room int
	sent []string
}

// Send implements AgentService_LogsServer.
func (s *sink) Send(r *agentv1.LogsResponse) error {
	if len(s.sent) == s.room {
		return errors.New("broken")
	}
	s.sent = append(s.sent, string(r.GetData()))
	return nil
}

func TestLogsAreSentInChunks(t *testing.T) {
	line := strings.Repeat("x", 2*chunk) + "y"
	whole := &sink{room: 10}
	if n, err := (sender{whole}).Write([]byte(line)); n != len(line) || err != nil || len(whole.sent) != 3 || strings.Join(whole.sent, "") != line {
		t.Errorf("wrote %d of %d in %d messages: %v", n, len(line), len(whole.sent), err)
	}
	broken := &sink{room: 1}
	if n, err := (sender{broken}).Write([]byte(line)); n != chunk || err == nil {
		t.Errorf("wrote %d before it broke, want %d: %v", n, chunk, err)
	}
}
