package controllermanager_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/internal/version"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/sdk"
)

// mode is how an agent answers.
type mode int

const (
	answering mode = iota
	silent
	refusing
)

// agent plays a node: it answers probes, and runs pods while it lives.
type agent struct {
	agentv1.UnimplementedAgentServiceServer
	name   string
	server *grpc.Server
	lis    *bufconn.Listener

	mu   sync.Mutex
	mode mode
}

func (a *agent) state() mode { a.mu.Lock(); defer a.mu.Unlock(); return a.mode }

func (a *agent) become(m mode) { a.mu.Lock(); defer a.mu.Unlock(); a.mode = m }

// Ping implements AgentService.
func (a *agent) Ping(ctx context.Context, _ *agentv1.PingRequest) (*agentv1.PingResponse, error) {
	switch a.state() {
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case refusing:
		return nil, status.Error(codes.Unavailable, "going down")
	}
	return &agentv1.PingResponse{Node: a.name, Ready: true}, nil
}

func (w *world) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	a := w.agents[address]
	w.mu.Unlock()
	switch {
	case a == nil || a.state() == silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case a.state() == refusing:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return a.lis.DialContext(ctx)
}

// node registers a node whose agent answers.
func (w *world) node(n int) *agent {
	w.t.Helper()
	ip := fmt.Sprintf("192.0.2.%d", n)
	a := &agent{name: fmt.Sprintf("n%d", n), server: grpc.NewServer(), lis: bufconn.Listen(1 << 16)}
	agentv1.RegisterAgentServiceServer(a.server, a)
	w.running.Go(func() { _ = a.server.Serve(a.lis) })
	w.mu.Lock()
	w.agents[net.JoinHostPort(ip, "10250")] = a
	w.mu.Unlock()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: a.name}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}
	node.Status.NodeInfo.KubeletVersion = version.Kubernetes(version.Version)
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "Starting"}}
	create(w, node)
	return a
}

// live plays the scheduler and the agents. They look less often while nothing is
// written.
func (w *world) live(ctx context.Context) {
	const often, seldom = 100 * time.Millisecond, time.Second
	wait, writes := often, 0
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, seldom)
		if n := w.writes(); n != writes {
			wait, writes = often, n
		}
		pods, err := sdk.List[*corev1.Pod](ctx, w.client, sdk.ListOptions{})
		if err != nil {
			continue
		}
		nodes, err := sdk.List[*corev1.Node](ctx, w.client, sdk.ListOptions{})
		if err != nil {
			continue
		}
		for _, pod := range pods.Items {
			w.handle(ctx, pod, nodes.Items)
		}
	}
}

// writes counts what was asked to be written so far, leases aside.
func (w *world) writes() (n int) {
	for _, method := range []string{"Create", "UpdateStatus", "Patch", "Delete", "Transact"} {
		n += w.cluster.Calls(method)
	}
	return n
}

func (w *world) handle(ctx context.Context, pod *corev1.Pod, nodes []*corev1.Node) {
	if pod.Spec.NodeName == "" {
		w.schedule(ctx, pod, nodes)
		return
	}
	a := w.agent(pod.Spec.NodeName)
	if a == nil || a.state() != answering || strings.HasPrefix(pod.Spec.Containers[0].Image, "bad") {
		return
	}
	if pod.DeletionTimestamp != nil {
		_ = sdk.Delete[*corev1.Pod](ctx, w.client, pod.Namespace, pod.Name, sdk.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))})
		return
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return
		}
	}
	w.mu.Lock()
	w.placed++
	ip := fmt.Sprintf("10.244.%d.%d", w.placed/250, w.placed%250+1)
	w.mu.Unlock()
	if pod.Status.PodIP != "" {
		ip = pod.Status.PodIP
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, Conditions: []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()},
	}}
	_, _ = sdk.UpdateStatus(ctx, w.client, pod)
}

func (w *world) agent(name string) *agent {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.agents {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (w *world) schedule(ctx context.Context, pod *corev1.Pod, nodes []*corev1.Node) {
	var fit []string
	for _, n := range nodes {
		if len(n.Spec.Taints) == 0 && !n.Spec.Unschedulable {
			fit = append(fit, n.Name)
		}
	}
	if len(fit) == 0 {
		return
	}
	w.mu.Lock()
	w.placed++
	node := fit[w.placed%len(fit)]
	w.mu.Unlock()
	_, _ = w.client.Transact(ctx, sdk.BindOp(pod, node))
}
