package pod

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// conditions sets those that the node owns and leaves the others.
func (o observation) conditions(s *corev1.PodStatus) {
	ready := func(ok bool) corev1.ConditionStatus {
		if ok {
			return corev1.ConditionTrue
		}
		return corev1.ConditionFalse
	}
	done := s.Phase == corev1.PodSucceeded
	sandbox := o.found && o.state.Sandbox.Ready && o.ip().IsValid() && !ended(s.Phase)
	o.set(s, corev1.PodReadyToStartContainers, ready(sandbox), "", "")
	initialized := o.initialized || done
	reason, message := "", ""
	if !initialized {
		reason = "ContainersNotInitialized"
		message = "containers with incomplete status: " + names(incomplete(o.pod, s.InitContainerStatuses))
	} else if done {
		reason = "PodCompleted"
	}
	o.set(s, corev1.PodInitialized, ready(initialized), reason, message)
	reason, message = "", ""
	unready := unreadyNames(o.pod, s)
	switch {
	case done:
		reason = "PodCompleted"
	case s.Phase == corev1.PodFailed:
		reason = "PodFailed"
	case len(unready) > 0:
		reason = "ContainersNotReady"
		message = "containers with unready status: " + names(unready)
	}
	ok := reason == "" && s.Phase == corev1.PodRunning
	o.set(s, corev1.ContainersReady, ready(ok), reason, message)
	gateReason, gateMessage := gates(o.pod, s)
	if ok && gateReason != "" {
		ok, reason, message = false, gateReason, gateMessage
	}
	o.set(s, corev1.PodReady, ready(ok), reason, message)
	o.set(s, corev1.PodScheduled, corev1.ConditionTrue, "", "")
	o.resizing.conditions(s)
}

// calledLost says whether a pod is unready because its node was taken for lost,
// which the node controller says and not the agent.
func calledLost(s *corev1.PodStatus) bool {
	c := condition(s, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == "NodeNotReady"
}

func names(list []string) string { return "[" + strings.Join(list, " ") + "]" }

func incomplete(pod *corev1.Pod, statuses []corev1.ContainerStatus) []string {
	var out []string
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if s := find(statuses, c.Name); s == nil || !s.Ready {
			out = append(out, c.Name)
		}
	}
	return out
}

func unreadyNames(pod *corev1.Pod, s *corev1.PodStatus) []string {
	var out []string
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if st := find(s.InitContainerStatuses, c.Name); sidecar(c) && (st == nil || !st.Ready) {
			out = append(out, c.Name)
		}
	}
	for i := range pod.Spec.Containers {
		if st := find(s.ContainerStatuses, pod.Spec.Containers[i].Name); st == nil || !st.Ready {
			out = append(out, pod.Spec.Containers[i].Name)
		}
	}
	return out
}

func gates(pod *corev1.Pod, s *corev1.PodStatus) (reason, message string) {
	var msgs []string
	for _, g := range pod.Spec.ReadinessGates {
		c := condition(s, g.ConditionType)
		if c == nil {
			msgs = append(msgs, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", string(g.ConditionType)))
		} else if c.Status != corev1.ConditionTrue {
			msgs = append(msgs, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", string(g.ConditionType), c.Status))
		}
	}
	if len(msgs) == 0 {
		return "", ""
	}
	return "ReadinessGatesNotReady", strings.Join(msgs, ", ")
}

func condition(s *corev1.PodStatus, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

func (o observation) set(s *corev1.PodStatus, t corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) {
	c := condition(s, t)
	if c == nil {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t})
		c = &s.Conditions[len(s.Conditions)-1]
	}
	if c.Status != status || c.LastTransitionTime.IsZero() {
		c.LastTransitionTime = stamp(o.now)
	}
	c.Status, c.Reason, c.Message, c.ObservedGeneration = status, reason, message, o.pod.Generation
}
