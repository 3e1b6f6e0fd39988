package node_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/internal/version"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager/node"
)

type deaf struct{}

func (deaf) Event(sdk.Object, string, string, string, ...any) {}

// agent answers as the named node until it is silent.
type agent struct {
	agentv1.UnimplementedAgentServiceServer
	name   string
	silent atomic.Bool
	lis    *bufconn.Listener
}

// Ping implements AgentService.
func (a *agent) Ping(ctx context.Context, _ *agentv1.PingRequest) (*agentv1.PingResponse, error) {
	if a.silent.Load() {
		<-ctx.Done()
	}
	return &agentv1.PingResponse{Node: a.name, Ready: true}, ctx.Err()
}

func (a *agent) dial(ctx context.Context, _ string) (net.Conn, error) {
	if a.silent.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return a.lis.DialContext(ctx)
}

// monitored runs a test with node n1, an agent at its address that says to be of
// the given name, and a monitor.
func monitored(t *testing.T, name string, test func(a *agent, m *node.Monitor, ready func() corev1.NodeCondition)) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		a := &agent{name: name, lis: bufconn.Listen(1 << 16)}
		server := grpc.NewServer()
		agentv1.RegisterAgentServiceServer(server, a)
		running.Go(func() { _ = server.Serve(a.lis) })
		defer server.Stop()
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		m := node.NewMonitor(client, caches, deaf{}, &node.Prober{Dial: a.dial}, slog.New(slog.DiscardHandler))
		n := withReady(corev1.ConditionFalse)
		n.Name = "n1"
		n.Status.NodeInfo.KubeletVersion = version.Kubernetes("v1")
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}
		if _, err := sdk.Create(ctx, client, n); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = caches.Run(ctx) })
		running.Go(func() { _ = m.Run(ctx) })
		test(a, m, func() corev1.NodeCondition {
			got, err := sdk.Get[*corev1.Node](ctx, client, "", "n1")
			if err != nil {
				t.Fatal(err)
			}
			return got.Status.Conditions[0]
		})
	})
}

// TestHintIsSettledAtOnce measures what the controller takes of the three
// seconds that a dead node's endpoints may stay: two probes and one write.
func TestHintIsSettledAtOnce(t *testing.T) {
	monitored(t, "n1", func(a *agent, m *node.Monitor, ready func() corev1.NodeCondition) {
		time.Sleep(time.Second)
		if c := ready(); c.Status != corev1.ConditionTrue {
			t.Fatalf("%+v", c)
		}
		a.silent.Store(true)
		m.Hint("n1")
		time.Sleep(790 * time.Millisecond)
		if c := ready(); c.Status != corev1.ConditionTrue {
			t.Errorf("settled before both tries were over: %+v", c)
		}
		time.Sleep(110 * time.Millisecond)
		if c := ready(); c.Status != corev1.ConditionUnknown || c.Reason != "NodeStatusUnknown" {
			t.Errorf("not settled: %+v", c)
		}
	})
}

func TestWrongHintChangesNothing(t *testing.T) {
	monitored(t, "n1", func(_ *agent, m *node.Monitor, ready func() corev1.NodeCondition) {
		time.Sleep(time.Second)
		before := ready()
		m.Hint("n1")
		time.Sleep(2 * time.Second)
		if c := ready(); c != before {
			t.Errorf("%+v, before %+v", c, before)
		}
	})
}

func TestAnotherNodesAgentIsNoAnswer(t *testing.T) {
	monitored(t, "n2", func(_ *agent, _ *node.Monitor, ready func() corev1.NodeCondition) {
		time.Sleep(2 * time.Second)
		if c := ready(); c.Status != corev1.ConditionUnknown {
			t.Errorf("%+v", c)
		}
	})
}
