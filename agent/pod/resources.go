package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/musterhq/muster/agent/runtime"
)

// The bounds that the kernel and kubelet set.
const (
	minShares     = 2
	quotaPeriodUS = 100_000
	minQuotaUS    = 1_000
)

// qosClass follows Kubernetes' rules for cpu and memory.
func qosClass(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	guaranteed, any := true, false
	check := func(c *corev1.Container) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, request := c.Resources.Limits[name], c.Resources.Requests[name]
			if !limit.IsZero() || !request.IsZero() {
				any = true
			}
			if limit.IsZero() || (!request.IsZero() && request.Cmp(limit) != 0) {
				guaranteed = false
			}
		}
	}
	for i := range pod.Spec.InitContainers {
		check(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		check(&pod.Spec.Containers[i])
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func cpuRequest(c *corev1.Container) *resource.Quantity {
	if q, ok := c.Resources.Requests[corev1.ResourceCPU]; ok {
		return &q
	}
	q := c.Resources.Limits[corev1.ResourceCPU]
	return &q
}

func shares(milli int64) uint64 { return uint64(max(minShares, milli*1024/1000)) }

func quota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(minQuotaUS, milli*quotaPeriodUS/1000)
}

func containerResources(c *corev1.Container) runtime.Resources {
	return runtime.Resources{
		CPUShares:   shares(cpuRequest(c).MilliValue()),
		CPUQuotaUS:  quota(c.Resources.Limits.Cpu().MilliValue()),
		MemoryBytes: c.Resources.Limits.Memory().Value(),
	}
}

// podResources are those of the pod's cgroup: a limit holds for the pod when
// every container has one.
func podResources(pod *corev1.Pod) runtime.Resources {
	var cpu, quotaMilli, memory int64
	cpuLimited, memoryLimited := true, true
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		cpu += cpuRequest(c).MilliValue()
		limit := c.Resources.Limits.Cpu().MilliValue()
		quotaMilli, cpuLimited = quotaMilli+limit, cpuLimited && limit > 0
		bytes := c.Resources.Limits.Memory().Value()
		memory, memoryLimited = memory+bytes, memoryLimited && bytes > 0
	}
	var sidecarCPU, sidecarMemory int64
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		limit, bytes := c.Resources.Limits.Cpu().MilliValue(), c.Resources.Limits.Memory().Value()
		cpuLimited, memoryLimited = cpuLimited && limit > 0, memoryLimited && bytes > 0
		if sidecar(c) {
			cpu += cpuRequest(c).MilliValue()
			sidecarCPU, sidecarMemory = sidecarCPU+limit, sidecarMemory+bytes
			continue
		}
		cpu = max(cpu, cpuRequest(c).MilliValue())
		quotaMilli, memory = max(quotaMilli, limit), max(memory, bytes)
	}
	overhead := pod.Spec.Overhead // What the pod's runtime takes is the pod's.
	r := runtime.Resources{CPUShares: shares(cpu + overhead.Cpu().MilliValue())}
	if cpuLimited {
		r.CPUQuotaUS = quota(quotaMilli + sidecarCPU + overhead.Cpu().MilliValue())
	}
	if memoryLimited {
		r.MemoryBytes = memory + sidecarMemory + overhead.Memory().Value()
	}
	return r
}

// oomScoreAdj follows kubelet: who asked for more memory is killed later.
func oomScoreAdj(pod *corev1.Pod, c *corev1.Container, capacity int64) int {
	switch qosClass(pod) {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	if capacity <= 0 {
		return 999
	}
	adj := 1000 - 1000*c.Resources.Requests.Memory().Value()/capacity
	return int(min(999, max(3, adj)))
}
