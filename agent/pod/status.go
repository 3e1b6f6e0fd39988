package pod

import (
	"net/netip"
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
	// resizing is how far a resize is.
	resizing resizing
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
	s.EphemeralContainerStatuses = o.ephemeral(s.EphemeralContainerStatuses, latest)
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
			out = append(out, o.absent(c, find(old, c.Name)))
			continue
		}
		out = append(out, o.present(c, l, init))
	}
	return out
}

// ephemeral containers are never ready, and started is nothing they are told.
func (o observation) ephemeral(old []corev1.ContainerStatus, latest map[string]runtime.Container) []corev1.ContainerStatus {
	var specs []corev1.Container
	for _, c := range ephemeral(&o.pod.Spec) {
		specs = append(specs, *c)
	}
	out := o.containers(specs, old, latest, true)
	for i := range out {
		out[i].Ready, out[i].Started = false, nil
		if w := out[i].State.Waiting; w != nil && w.Reason == "PodInitializing" {
			w.Reason = "ContainerCreating"
		}
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
func (o observation) absent(c *corev1.Container, old *corev1.ContainerStatus) corev1.ContainerStatus {
	no := false
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Started: &no}
	if old != nil {
		s.RestartCount, s.LastTerminationState = old.RestartCount, old.LastTerminationState
	}
	w, ok := o.waits[c.Name]
	if !ok {
		w.Reason = "ContainerCreating"
		if len(o.pod.Spec.InitContainers) > 0 {
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
		AllocatedResources: c.Resources.Requests, Resources: actual(c, l),
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

func sameStatus(a, b corev1.PodStatus) bool { return equality.Semantic.DeepEqual(a, b) }
