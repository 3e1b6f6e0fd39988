package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
)

const (
	// steady is the time between probes of a node that answers.
	steady = 5 * time.Second
	// urgent is the time between probes of one that does not.
	urgent = time.Second
	// starting is the time between probes of one whose agent is on its way up.
	starting = 250 * time.Millisecond
	// again is the time until a condition that could not be written is tried again.
	again = 500 * time.Millisecond
	// defaultPort of agents that do not say.
	defaultPort = 10250
)

// Recorder tells the user what happened to an object.
type Recorder interface {
	Event(obj sdk.Object, eventType, reason, format string, args ...any)
}

// Monitor settles by direct probes whether nodes live, and writes their Ready
// condition; nobody else does after a node registered. Those without an agent of
// Muster's say so themselves.
type Monitor struct {
	client *sdk.Client
	nodes  *informer.Informer[*corev1.Node]
	leases *informer.Informer[*metav1.PartialObjectMetadata]
	events Recorder
	prober *Prober
	log    *slog.Logger

	mu      sync.Mutex
	targets map[string]*target
}

// target is a node under probe.
type target struct {
	poke chan struct{} // a hint came; holds one
}

// NewMonitor makes a monitor; call it before the caches run.
func NewMonitor(client *sdk.Client, caches *controller.Caches, events Recorder, prober *Prober, logger *slog.Logger) *Monitor {
	return &Monitor{
		client: client, nodes: controller.Cache[*corev1.Node](caches), events: events, prober: prober,
		leases: controller.MetadataCache(caches, sdk.TypeNameOf[*coordinationv1.Lease]()),
		log:    logger.With("component", "nodemonitor"), targets: map[string]*target{},
	}
}

// Run probes every node until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	if err := m.nodes.WaitSynced(ctx); err != nil {
		return nil
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	remove := m.nodes.OnChange(func(before, now *corev1.Node) {
		if now != nil {
			m.follow(ctx, &running, now.Name)
		}
		if before != nil && now != nil && foreign(before) != foreign(now) {
			m.hint(now.Name)
		}
	})
	defer remove()
	running.Go(func() { m.hints(ctx) })
	<-ctx.Done()
	return nil
}

// follow begins to probe a node, unless that is done already.
func (m *Monitor) follow(ctx context.Context, running *sync.WaitGroup, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.targets[name] != nil || ctx.Err() != nil {
		return
	}
	t := &target{poke: make(chan struct{}, 1)}
	m.targets[name] = t
	running.Go(func() { m.watch(ctx, name, t) })
}

// lookup returns the node, or drops its target when there is none any more. Both
// happen under the lock, so that a node that comes back is followed again.
func (m *Monitor) lookup(ctx context.Context, name string) (*corev1.Node, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, ok := m.nodes.Get("", name)
	if !ok || ctx.Err() != nil {
		delete(m.targets, name)
		return nil, false
	}
	return node, true
}

// hint has a node probed at once.
func (m *Monitor) hint(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.targets[name]; t != nil {
		select {
		case t.poke <- struct{}{}:
		default:
		}
	}
}

// watch probes one node until it is deleted.
func (m *Monitor) watch(ctx context.Context, name string, t *target) {
	l := m.prober.line(name)
	defer l.close()
	var health Health
	var heartbeat heartbeat
	for {
		node, ok := m.lookup(ctx, name)
		if !ok {
			return
		}
		if foreign(node) {
			t.wait(ctx, m.listen(ctx, node, &heartbeat))
			continue
		}
		report := l.probe(ctx, address(node))
		if ctx.Err() != nil {
			continue
		}
		health = health.After(report, time.Now())
		t.wait(ctx, m.settle(ctx, name, health, report))
	}
}

// wait sleeps until the next probe is due or asked for, or ctx ends.
func (t *target) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-t.poke:
	case <-timer.C:
	}
}

// settle writes what follows from the probes and returns when to probe next.
func (m *Monitor) settle(ctx context.Context, name string, health Health, report Report) time.Duration {
	next := nextProbe(report)
	verdict, decided, wait := health.Verdict(time.Now())
	if !decided {
		return min(next, wait)
	}
	node, ok := m.nodes.Get("", name)
	if !ok || verdict.Says(node) {
		return next
	}
	if err := m.write(ctx, node, verdict, corev1.NodeReady); err != nil && !apierrors.IsNotFound(err) {
		if ctx.Err() == nil {
			m.log.Warn("write condition", "node", name, "error", err)
		}
		return again
	}
	return next
}

// nextProbe is the time until the next probe after this one.
func nextProbe(r Report) time.Duration {
	switch {
	case r.Outcome == Silent:
		return urgent
	case r.Outcome == Answered && r.Ready:
		// Spread, so that a thousand nodes are not probed in the same moment.
		return steady*3/4 + rand.N(steady/2)
	}
	return starting
}

// write stores conditions, of which the first is Ready, by a patch of them alone, so
// that it never meets what the agent writes of itself.
func (m *Monitor) write(ctx context.Context, node *corev1.Node, v Verdict, kinds ...corev1.NodeConditionType) error {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	var conditions []corev1.NodeCondition
	for _, kind := range kinds {
		c := corev1.NodeCondition{Type: kind, Status: v.Status, Reason: v.Reason, Message: v.Message, LastHeartbeatTime: now, LastTransitionTime: now}
		if old := condition(node, kind); old != nil && old.Status == v.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		conditions = append(conditions, c)
	}
	before := readiness(node)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": node.UID},
		"status":   map[string]any{"conditions": conditions},
	})
	if err != nil {
		return fmt.Errorf("write condition of node %s: %w", node.Name, err)
	}
	if _, err := sdk.Patch[*corev1.Node](ctx, m.client, "", node.Name, "status", types.StrategicMergePatchType, patch); err != nil {
		return err
	}
	m.log.Info("node condition", "node", node.Name, "ready", v.Status, "reason", v.Reason, "message", v.Message)
	if before != v.Status {
		reason := "NodeNotReady"
		if v.Status == corev1.ConditionTrue {
			reason = "NodeReady"
		}
		m.events.Event(node, corev1.EventTypeNormal, reason, "Node %s status is now: %s", node.Name, reason)
	}
	return nil
}

// address is where the node's agent answers, "" when the node does not say.
func address(node *corev1.Node) string {
	port := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = defaultPort
	}
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return net.JoinHostPort(a.Address, strconv.Itoa(port))
		}
	}
	return ""
}
