package replicaset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// victims returns the n pods that are the least loss, in Kubernetes' order.
func victims(pods []*corev1.Pod, related map[string]int, n int, now time.Time) []*corev1.Pod {
	if n >= len(pods) {
		return pods
	}
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int { return compareLoss(a, b, related, now) })
	return sorted[:n]
}

// compareLoss puts first the pod whose deletion hurts less: one without a node,
// one that does not run, one not ready, one declared cheap, one whose node has
// more of the same, one ready for a shorter time, one that restarted more often,
// one that is younger. Times compare by order of magnitude, so that it is not
// always the youngest that goes.
func compareLoss(a, b *corev1.Pod, related map[string]int, now time.Time) int {
	if c := compareBool(a.Spec.NodeName != "", b.Spec.NodeName != ""); c != 0 {
		return c
	}
	if c := cmp.Compare(phaseRank(a), phaseRank(b)); c != 0 {
		return c
	}
	if c := compareBool(podstate.Ready(a), podstate.Ready(b)); c != 0 {
		return c
	}
	if c := cmp.Compare(deletionCost(a), deletionCost(b)); c != 0 {
		return c
	}
	if c := cmp.Compare(related[b.Spec.NodeName], related[a.Spec.NodeName]); c != 0 {
		return c
	}
	if podstate.Ready(a) && podstate.Ready(b) {
		if c, differ := compareSince(readySince(a), readySince(b), a, b, now); differ {
			return c
		}
	}
	if c := compareRestarts(a, b); c != 0 {
		return c
	}
	if c, differ := compareSince(a.CreationTimestamp, b.CreationTimestamp, a, b, now); differ {
		return c
	}
	return 0
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func phaseRank(pod *corev1.Pod) int {
	switch pod.Status.Phase {
	case corev1.PodRunning:
		return 2
	case corev1.PodUnknown:
		return 1
	}
	return 0
}

func deletionCost(pod *corev1.Pod) int32 {
	n, err := strconv.ParseInt(pod.Annotations[corev1.PodDeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

func readySince(pod *corev1.Pod) metav1.Time {
	if c := podstate.Condition(pod, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime
	}
	return metav1.Time{}
}

// compareSince puts the later time first. Times whose ages have the same order
// of magnitude are decided by UID, which is as good as chance.
func compareSince(ta, tb metav1.Time, a, b *corev1.Pod, now time.Time) (c int, differ bool) {
	if ta.Equal(&tb) {
		return 0, false
	}
	if ta.IsZero() || tb.IsZero() {
		return compareBool(!ta.IsZero(), !tb.IsZero()), true
	}
	if x, y := magnitude(ta, now), magnitude(tb, now); x != y {
		return cmp.Compare(x, y), true
	}
	return cmp.Compare(a.UID, b.UID), true
}

func magnitude(t metav1.Time, now time.Time) int64 {
	age := int64(now.Sub(t.Time))
	if age <= 0 {
		return math.MinInt64
	}
	return int64(math.Log2(float64(age)))
}

// compareRestarts puts the pod first whose container restarted most; plain
// containers count before restartable init containers.
func compareRestarts(a, b *corev1.Pod) int {
	if c := cmp.Compare(restarts(b.Status.ContainerStatuses), restarts(a.Status.ContainerStatuses)); c != 0 {
		return c
	}
	return cmp.Compare(restarts(b.Status.InitContainerStatuses), restarts(a.Status.InitContainerStatuses))
}

func restarts(statuses []corev1.ContainerStatus) int32 {
	var most int32
	for _, s := range statuses {
		most = max(most, s.RestartCount)
	}
	return most
}
