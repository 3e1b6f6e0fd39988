package node

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owned says whether a taint is this controller's to set and to remove.
func owned(t corev1.Taint) bool {
	switch t.Key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable:
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	case corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable:
		return t.Effect == corev1.TaintEffectNoSchedule
	}
	return false
}

// Taints returns the taints that the node should have: those that follow from
// its conditions, and whatever others it has. One that stays keeps its time.
func Taints(n *corev1.Node, now time.Time) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range n.Spec.Taints {
		if !owned(t) {
			out = append(out, t)
		}
	}
	for _, want := range wanted(n) {
		if i := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&want) }); i >= 0 {
			out = append(out, n.Spec.Taints[i])
			continue
		}
		if want.Effect == corev1.TaintEffectNoExecute {
			at := metav1.NewTime(now)
			want.TimeAdded = &at
		}
		out = append(out, want)
	}
	return out
}

func wanted(n *corev1.Node) []corev1.Taint {
	var out []corev1.Taint
	add := func(key string, effects ...corev1.TaintEffect) {
		for _, e := range effects {
			out = append(out, corev1.Taint{Key: key, Effect: e})
		}
	}
	switch readiness(n) {
	case corev1.ConditionTrue:
	case corev1.ConditionUnknown:
		add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
	default:
		add(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
	}
	if n.Spec.Unschedulable {
		add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	}
	for _, c := range n.Status.Conditions {
		if key := pressure(c.Type); key != "" && c.Status == corev1.ConditionTrue {
			add(key, corev1.TaintEffectNoSchedule)
		}
	}
	return out
}

func pressure(kind corev1.NodeConditionType) string {
	switch kind {
	case corev1.NodeMemoryPressure:
		return corev1.TaintNodeMemoryPressure
	case corev1.NodeDiskPressure:
		return corev1.TaintNodeDiskPressure
	case corev1.NodePIDPressure:
		return corev1.TaintNodePIDPressure
	case corev1.NodeNetworkUnavailable:
		return corev1.TaintNodeNetworkUnavailable
	}
	return ""
}

// readyCondition returns the node's Ready condition, or nil.
func readyCondition(n *corev1.Node) *corev1.NodeCondition { return condition(n, corev1.NodeReady) }

// condition is the node's of that type; nil where there is none.
func condition(n *corev1.Node, kind corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == kind {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// readiness is the status of the Ready condition; False where there is none yet.
func readiness(n *corev1.Node) corev1.ConditionStatus {
	if c := readyCondition(n); c != nil {
		return c.Status
	}
	return corev1.ConditionFalse
}

// sameTaints compares without regard to order.
func sameTaints(a, b []corev1.Taint) bool {
	order := func(x, y corev1.Taint) int {
		return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Effect, y.Effect), cmp.Compare(x.Value, y.Value))
	}
	a, b = slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order)
	return slices.EqualFunc(a, b, func(x, y corev1.Taint) bool { return order(x, y) == 0 })
}
