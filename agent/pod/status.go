package pod

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// waiting is why a container does not run, as its status words it.
type waiting struct {
	Reason, Message string
}

// observation is all that a pod's status is made from.
type observation struct {
	pod    *corev1.Pod
	state  runtime.Pod
	found  bool // whether the runtime knows the pod
	podIP  netip.Addr
	nodeIP []netip.Addr
	// waits are the reasons of containers that could not be started.
	waits       map[string]waiting
	initialized bool
	// runtimeName prefixes container IDs.
	runtimeName string
	// message is what a container left behind when it ended.
	message func(c *corev1.Container, r runtime.Container) string
	// probed is what the probes found of a running container.
	probed func(c *corev1.Container, id string) (started, ready bool)
	now    time.Time
	// stopped says that the pod is being deleted and nothing of it runs any more.
	stopped bool
	// expired says that the pod was active for longer than it may.
	expired bool
}

// What a pod that was active for too long is told, as kubelet words it.
const (
	deadlineExceeded = "DeadlineExceeded"
	deadlineMessage  = "Pod was active on the node longer than the specified deadline"
)

// status says in Kubernetes' words how the pod is.
func (o observation) status() corev1.PodStatus {
	s := *o.pod.Status.DeepCopy()
	if s.StartTime == nil {
		t := metav1.NewTime(o.now.Truncate(time.Second))
		s.StartTime = &t
	}
	s.ObservedGeneration = o.pod.Generation
	s.QOSClass = qosClass(o.pod)
	s.HostIP, s.HostIPs = "", nil
	for _, a := range o.nodeIP {
		s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: a.String()})
	}
	if len(s.HostIPs) > 0 {
		s.HostIP = s.HostIPs[0].IP
	}
	if ip := o.ip(); ip.IsValid() {
		s.PodIP, s.PodIPs = ip.String(), []corev1.PodIP{{IP: ip.String()}}
	}
	latest := latestOf(o.state.Containers)
	s.InitContainerStatuses = o.containers(o.pod.Spec.InitContainers, s.InitContainerStatuses, latest, true)
	s.ContainerStatuses = o.containers(o.pod.Spec.Containers, s.ContainerStatuses, latest, false)
	s.Phase = phase(&o.pod.Spec, s)
	if o.stopped {
		s.Phase = outcome(s)
	}
	if o.expired {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, deadlineExceeded, deadlineMessage
	}
	o.conditions(&s)
	return s
}

func (o observation) ip() netip.Addr {
	if o.pod.Spec.HostNetwork {
		if len(o.nodeIP) > 0 && o.found {
			return o.nodeIP[0]
		}
		return netip.Addr{}
	}
	return o.podIP
}

func (o observation) containers(specs []corev1.Container, old []corev1.ContainerStatus, latest map[string]runtime.Container, init bool) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range specs {
		c := &specs[i]
		l, ok := latest[c.Name]
		if !ok {
			if was := find(old, c.Name); was != nil && was.State.Terminated != nil && !o.found {
				out = append(out, *was) // It ended, and its traces are removed already.
				continue
			}
			out = append(out, o.absent(c, find(old, c.Name), init))
			continue
		}
		out = append(out, o.present(c, l, init))
	}
	return out
}

func find(all []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// absent is a container that was not made yet.
func (o observation) absent(c *corev1.Container, old *corev1.ContainerStatus, init bool) corev1.ContainerStatus {
	no := false
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Started: &no}
	if old != nil {
		s.RestartCount, s.LastTerminationState = old.RestartCount, old.LastTerminationState
	}
	w, ok := o.waits[c.Name]
	if !ok {
		w.Reason = "ContainerCreating"
		if len(o.pod.Spec.InitContainers) > 0 && (init || !o.initialized) {
			w.Reason = "PodInitializing"
		}
	}
	s.State.Waiting = &corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}
	return s
}

func (o observation) present(c *corev1.Container, l runtime.Container, init bool) corev1.ContainerStatus {
	started := l.State == runtime.Running
	s := corev1.ContainerStatus{
		Name: c.Name, Image: l.ImageRef, ImageID: l.ImageID, ContainerID: o.runtimeName + "://" + l.ID,
		RestartCount: int32(l.Attempt), Started: &started,
	}
	if prev, ok := previousOf(o.state.Containers, l); ok {
		s.LastTerminationState.Terminated = o.terminated(c, prev)
	}
	switch l.State {
	case runtime.Running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: stamp(l.StartedAt)}
		if !init || sidecar(c) {
			started, s.Ready = o.probed(c, l.ID)
		}
	case runtime.Exited:
		t := o.terminated(c, l)
		if w, ok := o.waits[c.Name]; ok {
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}
			s.LastTerminationState.Terminated = t
			break
		}
		s.State.Terminated = t
		s.Ready = init && t.ExitCode == 0 && !sidecar(c)
	default:
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	}
	return s
}

func stamp(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

func (o observation) terminated(c *corev1.Container, r runtime.Container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: int32(r.ExitCode), StartedAt: stamp(r.StartedAt), FinishedAt: stamp(r.FinishedAt),
		ContainerID: o.runtimeName + "://" + r.ID,
	}
	switch {
	case r.Err != "":
		t.Reason, t.Message = "StartError", r.Err
		return t
	case r.Lost:
		t.Reason = "Unknown"
	case r.OOMKilled:
		t.Reason = "OOMKilled"
	case r.ExitCode == 0:
		t.Reason = "Completed"
	default:
		t.Reason = "Error"
	}
	if o.message != nil {
		t.Message = o.message(c, r)
	}
	return t
}

// phase follows kubelet's getPhase.
func phase(spec *corev1.PodSpec, s corev1.PodStatus) corev1.PodPhase {
	pendingInit, failedInit := initCounts(spec, s.InitContainerStatuses)
	if failedInit > 0 && spec.RestartPolicy == corev1.RestartPolicyNever {
		return corev1.PodFailed
	}
	var running, waits, stopped, succeeded int
	for i := range s.ContainerStatuses {
		c := &s.ContainerStatuses[i]
		switch {
		case c.State.Running != nil:
			running++
		case c.State.Terminated != nil:
			stopped++
			if c.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case c.LastTerminationState.Terminated != nil:
			stopped++
		default:
			waits++
		}
	}
	switch {
	case pendingInit > 0, failedInit > 0, waits > 0:
		return corev1.PodPending
	case running > 0:
		return corev1.PodRunning
	case stopped > 0 && spec.RestartPolicy == corev1.RestartPolicyAlways:
		return corev1.PodRunning
	case stopped > 0 && stopped == succeeded:
		return corev1.PodSucceeded
	case stopped > 0 && spec.RestartPolicy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	case stopped > 0:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

// outcome is the phase of a pod that was stopped for good.
func outcome(s corev1.PodStatus) corev1.PodPhase {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for i := range list {
			if t := list[i].State.Terminated; t == nil || t.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
	}
	return corev1.PodSucceeded
}

func initCounts(spec *corev1.PodSpec, statuses []corev1.ContainerStatus) (pending, failed int) {
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		s := find(statuses, c.Name)
		switch {
		case sidecar(c):
			if s == nil || (s.State.Running == nil && s.State.Terminated == nil && s.LastTerminationState.Terminated == nil) {
				pending++
			}
		case s == nil || s.State.Running != nil:
			pending++
		case s.State.Terminated != nil:
			if s.State.Terminated.ExitCode != 0 {
				failed++
			}
		case s.LastTerminationState.Terminated != nil && s.LastTerminationState.Terminated.ExitCode != 0:
			failed++
		default:
			pending++
		}
	}
	return pending, failed
}

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
}

// calledLost says whether a pod is unready because its node was taken for lost,
// which the node controller says and not the agent.
func calledLost(s *corev1.PodStatus) bool {
	c := condition(s, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == "NodeNotReady"
}

func ended(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

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

func sameStatus(a, b corev1.PodStatus) bool { return equality.Semantic.DeepEqual(a, b) }
