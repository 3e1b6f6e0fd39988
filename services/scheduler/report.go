package scheduler

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/scheduler/core"
)

// report tells the users of pods that fit nowhere why, in the pod's condition
// and an event.
func (s *Scheduler) report(ctx context.Context, pods []*corev1.Pod, results []core.Result) {
	var ops []sdk.Operation
	var of []*corev1.Pod
	for i, pod := range pods {
		message := results[i].Message()
		// Told once for each new reason: a pod that waits for others is tried often.
		if patch := unschedulable(pod, message); patch != nil {
			s.recorder.Event(pod, corev1.EventTypeWarning, "FailedScheduling", "%s", message)
			ops = append(ops, sdk.PatchOp[*corev1.Pod](pod.Namespace, pod.Name, "status", types.StrategicMergePatchType, patch))
			of = append(of, pod)
		}
	}
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	for i, err := range s.client.TransactEach(sending, ops...) {
		if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			s.log.Warn("condition not written", "namespace", of[i].Namespace, "pod", of[i].Name, "error", err)
		}
	}
}

// unschedulable is the patch that says so in the pod's status; nil when it says
// so already. The UID keeps it off a namesake that came since.
func unschedulable(pod *corev1.Pod, message string) []byte {
	since := metav1.NewTime(time.Now())
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		if c.Reason == corev1.PodReasonUnschedulable && c.Message == message {
			return nil
		}
		since = c.LastTransitionTime
	}
	raw, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []map[string]any{{
			"type": corev1.PodScheduled, "status": corev1.ConditionFalse, "reason": corev1.PodReasonUnschedulable,
			"message": message, "lastTransitionTime": since,
		}}},
	})
	if err != nil {
		// Strings and a time always marshal.
		panic(err)
	}
	return raw
}
