package node

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
)

// conditions are those that the agent measures itself, with kubelet's words.
func (r *Registrar) conditions() ([]corev1.NodeCondition, error) {
	p, err := r.cfg.Measure(r.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	all := []struct {
		kind           corev1.NodeConditionType
		under          bool
		has, hasNot    string
		words, wordNot string
	}{
		{corev1.NodeMemoryPressure, p.Memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory",
			"kubelet has insufficient memory available", "kubelet has sufficient memory available"},
		{corev1.NodeDiskPressure, p.Disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure",
			"kubelet has disk pressure", "kubelet has no disk pressure"},
		{corev1.NodePIDPressure, p.PIDs, "KubeletHasInsufficientPID", "KubeletHasSufficientPID",
			"kubelet has insufficient PID available", "kubelet has sufficient PID available"},
	}
	now := metav1.Now()
	var out []corev1.NodeCondition
	for _, c := range all {
		n := corev1.NodeCondition{Type: c.kind, Status: corev1.ConditionFalse, Reason: c.hasNot, Message: c.wordNot, LastHeartbeatTime: now}
		if c.under {
			n.Status, n.Reason, n.Message = corev1.ConditionTrue, c.has, c.words
		}
		old, known := r.since[c.kind]
		if !known || string(old.Status) != string(n.Status) {
			old = metav1.Condition{Status: metav1.ConditionStatus(n.Status), LastTransitionTime: now}
			r.since[c.kind] = old
		}
		n.LastTransitionTime = old.LastTransitionTime
		out = append(out, n)
	}
	return out, nil
}

// patch merges by the keys of the lists, so that conditions of others stay. A
// corev1.NodeStatus is the whole of it: in JSON it has a port and versions, always.
func (r *Registrar) patch(ctx context.Context, status any) error {
	raw, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = sdk.Patch[*corev1.Node](ctx, r.cfg.Client, "", r.cfg.Name, "status", types.StrategicMergePatchType, raw)
	return err
}
