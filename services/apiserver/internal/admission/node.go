package admission

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// taintNew keeps pods off a new node until the node controller has heard that it is
// ready, and takes the taint away.
func taintNew(r *Request) error {
	if r.Operation != Create {
		return nil
	}
	node := r.Object.(*corev1.Node)
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	return nil
}
