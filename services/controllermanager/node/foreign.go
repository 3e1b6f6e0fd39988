package node

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/internal/version"
)

// Nodes that no agent of Muster's stands behind are judged as Kubernetes' node
// lifecycle controller does, and by its times: whoever made the Node (a virtual
// kubelet, a test) says how it is, as long as it gives signs of life.
const (
	// startupGrace is how long a node may take for its first sign of life.
	startupGrace = 60 * time.Second
	// silenceGrace is how long one that was ready may give none.
	silenceGrace = 50 * time.Second
	// silenceInterval is the time between two looks.
	silenceInterval = 5 * time.Second
)

// foreign says that it is not our agent that reports the node.
func foreign(n *corev1.Node) bool { return !version.IsMuster(n.Status.NodeInfo.KubeletVersion) }

// heartbeat is the last sign of life of a foreign node. Signs are compared for being
// new, and timed by our clock, so that clocks of machines are never compared.
type heartbeat struct {
	lease, ready string
	at           time.Time
}

// look notes signs that are new.
func (h *heartbeat) look(lease string, ready *corev1.NodeCondition, now time.Time) {
	said := ""
	if ready != nil {
		said = string(ready.Status) + ready.LastHeartbeatTime.String()
	}
	if h.at.IsZero() || lease != h.lease || said != h.ready {
		*h = heartbeat{lease: lease, ready: said, at: now}
	}
}

// silent says that the node gave no sign of life for too long.
func (h *heartbeat) silent(ready *corev1.NodeCondition, now time.Time) bool {
	grace := silenceGrace
	if ready == nil {
		grace = startupGrace
	}
	return now.Sub(h.at) > grace
}

// listen looks for signs of life of a foreign node, and writes that there are none.
// It returns when to look next.
func (m *Monitor) listen(ctx context.Context, node *corev1.Node, h *heartbeat) time.Duration {
	lease := ""
	if l, ok := m.leases.Get(corev1.NamespaceNodeLease, node.Name); ok {
		lease = l.ResourceVersion
	}
	now, ready := time.Now(), readyCondition(node)
	h.look(lease, ready, now)
	if !h.silent(ready, now) || ready != nil && ready.Status == corev1.ConditionUnknown {
		return silenceInterval
	}
	verdict := Verdict{corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."}
	if ready == nil {
		verdict = Verdict{corev1.ConditionUnknown, "NodeStatusNeverUpdated", "Kubelet never posted node status."}
	}
	if err := m.write(ctx, node, verdict, corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure); err != nil && !apierrors.IsNotFound(err) {
		if ctx.Err() == nil {
			m.log.Warn("write condition", "node", node.Name, "error", err)
		}
		return again
	}
	return silenceInterval
}
