// Package core decides where a pod runs. It is pure: no client, no clock, no
// goroutine; the same nodes and the same pod give the same answer.
package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
)

// What a container without requests counts for in the scores, so that pods that
// ask for nothing are spread as well. The figures are Kubernetes'.
const (
	defaultMilliCPU = 100
	defaultMemory   = 200 << 20
	// defaultPods is how many pods a node takes that does not say.
	defaultPods = 110
)

// Resources is an amount of each resource.
type Resources struct {
	MilliCPU, Memory, Ephemeral, Pods int64
	// Extended resources by name; nil when there are none.
	Extended map[corev1.ResourceName]int64
}

func resourcesOf(list corev1.ResourceList) Resources {
	var r Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.Ephemeral = q.Value()
		case corev1.ResourcePods:
			r.Pods = q.Value()
		default:
			if r.Extended == nil {
				r.Extended = map[corev1.ResourceName]int64{}
			}
			r.Extended[name] = q.Value()
		}
	}
	return r
}

// add adds o, sign times.
func (r *Resources) add(o Resources, sign int64) {
	r.MilliCPU += sign * o.MilliCPU
	r.Memory += sign * o.Memory
	r.Ephemeral += sign * o.Ephemeral
	r.Pods += sign * o.Pods
	for name, v := range o.Extended {
		if r.Extended == nil {
			r.Extended = map[corev1.ResourceName]int64{}
		}
		r.Extended[name] += sign * v
	}
}

// within says that nothing is more than in o.
func (r Resources) within(o Resources) bool {
	for name, v := range r.Extended {
		if v > o.Extended[name] {
			return false
		}
	}
	return r.MilliCPU <= o.MilliCPU && r.Memory <= o.Memory && r.Ephemeral <= o.Ephemeral && r.Pods <= o.Pods
}

// requestsOf is what the pod asks for, and what it counts for in the scores. One
// that is being resized takes the most of what it asks for, was granted and has.
func requestsOf(pod *corev1.Pod) (requests, counted Resources) {
	runs := len(pod.Status.ContainerStatuses) > 0 || len(pod.Status.InitContainerStatuses) > 0
	requests = resourcesOf(resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: runs}))
	requests.Pods = 1
	counted = Resources{MilliCPU: requests.MilliCPU, Memory: requests.Memory}
	if counted.MilliCPU == 0 {
		counted.MilliCPU = defaultMilliCPU * int64(len(pod.Spec.Containers))
	}
	if counted.Memory == 0 {
		counted.Memory = defaultMemory * int64(len(pod.Spec.Containers))
	}
	return requests, counted
}
