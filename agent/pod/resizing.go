package pod

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/allocation"
)

// resizing is how far a resize of the pod is, as its conditions tell: it waits to
// be granted, is being carried out, or neither. Both at once is a second resize
// that waits while the first goes on.
type resizing struct {
	pending, progress *corev1.PodCondition
	// recalled says that the conditions of an agent before this one were read.
	recalled bool
}

func (r *resizing) recall(s *corev1.PodStatus) {
	if r.recalled {
		return
	}
	r.recalled = true
	r.pending, r.progress = condition(s, corev1.PodResizePending).DeepCopy(), condition(s, corev1.PodResizeInProgress).DeepCopy()
}

// hold notes why a resize is not granted; true when that is news.
func (r *resizing) hold(reason, message string, generation int64) bool {
	before := r.pending
	if before != nil && before.Reason == reason && before.Message == message && before.ObservedGeneration == generation {
		return false
	}
	r.pending = resizeCondition(corev1.PodResizePending, before, reason, message, generation)
	return before == nil || before.Reason != reason || before.ObservedGeneration != generation
}

// fail notes why a resize that was granted is not done yet; true when that is news.
func (r *resizing) fail(message string, generation int64) bool {
	before := r.progress
	if before != nil {
		if before.Reason == corev1.PodReasonError && before.Message == message {
			return false
		}
		generation = before.ObservedGeneration
	}
	r.progress = resizeCondition(corev1.PodResizeInProgress, before, corev1.PodReasonError, message, generation)
	return true
}

func resizeCondition(t corev1.PodConditionType, before *corev1.PodCondition, reason, message string, generation int64) *corev1.PodCondition {
	now := stamp(time.Now())
	c := &corev1.PodCondition{
		Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation,
		LastProbeTime: now, LastTransitionTime: now,
	}
	if before != nil && before.Reason == reason {
		c.LastTransitionTime = before.LastTransitionTime
	}
	return c
}

// conditions has the status tell it. A pod that ended is not resized any more.
func (r resizing) conditions(s *corev1.PodStatus) {
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress
	})
	for _, c := range []*corev1.PodCondition{r.pending, r.progress} {
		if c != nil && !ended(s.Phase) {
			s.Conditions = append(s.Conditions, *c)
		}
	}
}

// heldReasons are the words for what is not granted.
var heldReasons = map[allocation.State]struct{ reason, event string }{
	allocation.Deferred:   {corev1.PodReasonDeferred, "ResizeDeferred"},
	allocation.Infeasible: {corev1.PodReasonInfeasible, "ResizeInfeasible"},
}

// allocate asks for what this version of the pod wants and returns the pod with
// what it was granted.
func (w *worker) allocate(pod *corev1.Pod) (*corev1.Pod, error) {
	w.resizing.recall(&pod.Status)
	v, err := w.m.ledger.Resize(pod)
	if err != nil {
		return nil, err
	}
	switch v.State {
	case allocation.Undecided:
	case allocation.Unchanged:
		w.resizing.pending = nil
	case allocation.Granted:
		w.resizing.pending = nil
		w.resizing.progress = resizeCondition(corev1.PodResizeInProgress, nil, "", "", pod.Generation)
		w.event(pod, corev1.EventTypeNormal, "ResizeStarted", "Pod resize started: %s", summary(pod, pod.Generation, ""))
	default:
		held := heldReasons[v.State]
		if w.resizing.hold(held.reason, v.Message, pod.Generation) {
			w.event(pod, corev1.EventTypeWarning, held.event, "Pod resize %s: %s", held.reason, summary(pod, pod.Generation, v.Message))
		}
	}
	return w.m.ledger.Allocated(pod)
}

// tellResizing publishes that the plan resizes something before it is carried out.
func (w *worker) tellResizing(pod *corev1.Pod, p plan) {
	if !w.resizes(pod, p) {
		return
	}
	if w.resizing.progress == nil {
		w.resizing.progress = resizeCondition(corev1.PodResizeInProgress, nil, "", "", pod.Generation)
	}
	w.publish(pod)
}

// tellResized notes that nothing is left to be resized.
func (w *worker) tellResized(pod *corev1.Pod, next plan) {
	done := w.resizing.progress
	if done == nil || w.resizes(pod, next) {
		return
	}
	w.resizing.progress = nil
	w.event(pod, corev1.EventTypeNormal, "ResizeCompleted", "Pod resize completed: %s", summary(pod, done.ObservedGeneration, ""))
}

// resizeSummary is what events say of a resize, in the form of kubelet's.
type resizeSummary struct {
	InitContainers []containerSummary `json:"initContainers,omitempty"`
	Containers     []containerSummary `json:"containers,omitempty"`
	Generation     int64              `json:"generation"`
	Error          string             `json:"error,omitempty"`
}

type containerSummary struct {
	Name      string                      `json:"name"`
	Resources corev1.ResourceRequirements `json:"resources"`
}

func summary(pod *corev1.Pod, generation int64, problem string) string {
	of := func(list []corev1.Container) []containerSummary {
		var out []containerSummary
		for i := range list {
			out = append(out, containerSummary{list[i].Name, list[i].Resources})
		}
		return out
	}
	b, err := json.Marshal(resizeSummary{of(pod.Spec.InitContainers), of(pod.Spec.Containers), generation, problem})
	if err != nil {
		panic(err) // Quantities are always JSON.
	}
	return string(b)
}
