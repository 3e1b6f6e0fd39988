package pod

import (
	corev1 "k8s.io/api/core/v1"
)

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

func ended(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }
