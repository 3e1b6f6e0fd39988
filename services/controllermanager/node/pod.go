package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NotReady returns the pod with its Ready condition false, because its node is
// not ready.
func NotReady(pod *corev1.Pod, now time.Time) *corev1.Pod {
	pod = pod.DeepCopy()
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type != corev1.PodReady {
			continue
		}
		if c.Status != corev1.ConditionFalse {
			c.LastTransitionTime = metav1.NewTime(now)
		}
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "NodeNotReady", "The node that the pod runs on is not ready."
	}
	return pod
}
