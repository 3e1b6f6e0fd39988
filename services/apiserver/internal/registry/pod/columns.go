package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

func columns() []registry.Column {
	status := corev1.PodStatus{}.SwaggerDoc()
	text := func(name, description string, value func(summary) string) registry.Column {
		return registry.Column{Name: name, Type: "string", Description: description, Value: func(obj registry.Object, now time.Time) any {
			return value(summarize(obj.(*corev1.Pod), now))
		}}
	}
	return []registry.Column{
		text("Ready", "The aggregate readiness state of this pod for accepting traffic.", func(s summary) string {
			return fmt.Sprintf("%d/%d", s.ready, s.total)
		}),
		text("Status", "The aggregate status of the containers in this pod.", func(s summary) string { return s.reason }),
		text("Restarts", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.", func(s summary) string { return s.restarts }),
		registry.Age(),
		registry.Wide(registry.ColumnOf("IP", "string", status["podIP"], func(obj *corev1.Pod) any {
			if len(obj.Status.PodIPs) > 0 {
				return registry.OrNone(obj.Status.PodIPs[0].IP)
			}
			return registry.OrNone(obj.Status.PodIP)
		})),
		registry.Wide(registry.ColumnOf("Node", "string", corev1.PodSpec{}.SwaggerDoc()["nodeName"], func(obj *corev1.Pod) any { return registry.OrNone(obj.Spec.NodeName) })),
		registry.Wide(registry.ColumnOf("Nominated Node", "string", status["nominatedNodeName"], func(obj *corev1.Pod) any { return registry.OrNone(obj.Status.NominatedNodeName) })),
		registry.Wide(registry.ColumnOf("Readiness Gates", "string", corev1.PodSpec{}.SwaggerDoc()["readinessGates"], func(obj *corev1.Pod) any { return readinessGates(obj) })),
	}
}

func readinessGates(obj *corev1.Pod) string {
	if len(obj.Spec.ReadinessGates) == 0 {
		return registry.NoneCell
	}
	open := 0
	for _, gate := range obj.Spec.ReadinessGates {
		for _, c := range obj.Status.Conditions {
			if c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue {
				open++
				break
			}
		}
	}
	return fmt.Sprintf("%d/%d", open, len(obj.Spec.ReadinessGates))
}

// summary is what one line about a pod says.
type summary struct {
	ready, total int
	reason       string
	restarts     string
}

// restartCount adds up restarts and finds the last of them.
type restartCount struct {
	n    int
	last time.Time
}

func (r *restartCount) add(c corev1.ContainerStatus) {
	r.n += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && r.last.Before(t.FinishedAt.Time) {
		r.last = t.FinishedAt.Time
	}
}

func (r *restartCount) text(now time.Time) string {
	if r.n != 0 && !r.last.IsZero() {
		return fmt.Sprintf("%d (%s ago)", r.n, duration.HumanDuration(now.Sub(r.last)))
	}
	return fmt.Sprint(r.n)
}

func summarize(obj *corev1.Pod, now time.Time) summary {
	s := summary{total: len(obj.Spec.Containers), reason: string(obj.Status.Phase)}
	if obj.Status.Reason != "" {
		s.reason = obj.Status.Reason
	}
	for _, c := range obj.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	initReason, restarts, sidecars := summarizeInit(obj, &s)
	if initReason != "" {
		s.reason = initReason
	}
	if initReason == "" || initialized(obj) {
		restarts = sidecars
		summarizeContainers(obj, &s, &restarts)
	}
	s.restarts = restarts.text(now)
	if obj.DeletionTimestamp != nil && obj.Status.Reason == "NodeLost" {
		s.reason = "Unknown"
	} else if obj.DeletionTimestamp != nil && !terminal(obj) {
		s.reason = "Terminating"
	}
	return s
}

func initialized(obj *corev1.Pod) bool {
	for _, c := range obj.Status.Conditions {
		if c.Type == corev1.PodInitialized {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// summarizeInit words the first init container that is not done, and counts the
// restarts up to it (and those of sidecars, which go on counting afterwards).
func summarizeInit(obj *corev1.Pod, s *summary) (reason string, all, sidecars restartCount) {
	sidecar := map[string]bool{}
	for _, c := range obj.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecar[c.Name] = true
			s.total++
		}
	}
	for i, c := range obj.Status.InitContainerStatuses {
		all.add(c)
		if sidecar[c.Name] {
			sidecars.add(c)
		}
		t, w := c.State.Terminated, c.State.Waiting
		switch {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecar[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case t != nil:
			reason = "Init:" + terminatedReason(t)
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			reason = "Init:" + w.Reason
		default:
			reason = fmt.Sprintf("Init:%d/%d", i, len(obj.Spec.InitContainers))
		}
		break
	}
	return reason, all, sidecars
}

func terminatedReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// summarizeContainers lets the first container that has something to say speak
// for the pod, hence the order.
func summarizeContainers(obj *corev1.Pod, s *summary, restarts *restartCount) {
	running := false
	for i := len(obj.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := obj.Status.ContainerStatuses[i]
		restarts.add(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = terminatedReason(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason != "Completed" || !running {
		return
	}
	s.reason = "NotReady"
	for _, c := range obj.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			s.reason = "Running"
		}
	}
}
