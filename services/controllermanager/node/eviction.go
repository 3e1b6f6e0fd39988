package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// EvictAt returns when the pod has to leave a node with these taints; never is
// true when it may stay. A pod goes at once for a taint that it does not
// tolerate, and else when the first of its tolerations runs out.
func EvictAt(pod *corev1.Pod, taints []corev1.Taint, now time.Time) (at time.Time, never bool) {
	never = true
	for i := range taints {
		t := &taints[i]
		if t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		due, stays := toleratedUntil(pod, t, now)
		if stays {
			continue
		}
		if never || due.Before(at) {
			at = due
		}
		never = false
	}
	return at, never
}

// toleratedUntil looks at one taint; of several matching tolerations the
// shortest counts, as in Kubernetes.
func toleratedUntil(pod *corev1.Pod, t *corev1.Taint, now time.Time) (until time.Time, forever bool) {
	var shortest *int64
	matched := false
	for i := range pod.Spec.Tolerations {
		tol := &pod.Spec.Tolerations[i]
		if !tolerates(tol, t) {
			continue
		}
		matched = true
		if s := tol.TolerationSeconds; s != nil && (shortest == nil || *s < *shortest) {
			shortest = s
		}
	}
	switch {
	case !matched:
		return now, false
	case shortest == nil:
		return time.Time{}, true
	}
	since := now
	if t.TimeAdded != nil {
		since = t.TimeAdded.Time
	}
	return since.Add(time.Duration(max(0, *shortest)) * time.Second), false
}

func tolerates(tol *corev1.Toleration, t *corev1.Taint) bool {
	if tol.Effect != "" && tol.Effect != t.Effect || tol.Key != "" && tol.Key != t.Key {
		return false
	}
	switch tol.Operator {
	case "", corev1.TolerationOpEqual:
		return tol.Value == t.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}

// Share of nodes that seem gone at once from which it is rather this process or
// its network that is at fault, how many at least, and up to which size a
// cluster then keeps all its pods. The figures are Kubernetes'.
const (
	disruptedShare = 0.55
	disruptedNodes = 3
	smallCluster   = 50
)

// Disrupted says whether evictions have to wait, because so many nodes are not
// ready that pods could go nowhere, or none is, so that what is broken is more
// likely here.
func Disrupted(nodes []*corev1.Node) bool {
	gone := 0
	for _, n := range nodes {
		if readiness(n) != corev1.ConditionTrue {
			gone++
		}
	}
	if gone == len(nodes) {
		return gone > 0
	}
	return gone >= disruptedNodes && len(nodes) <= smallCluster && float64(gone) > disruptedShare*float64(len(nodes))
}
