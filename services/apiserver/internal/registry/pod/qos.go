package pod

import corev1 "k8s.io/api/core/v1"

// qos sorts a pod by what it asks for and may have: Guaranteed when every
// container has limits for cpu and memory that equal its requests, BestEffort
// when none has any, Burstable else.
func qos(spec *corev1.PodSpec) corev1.PodQOSClass {
	asks, guaranteed := false, true
	for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for _, c := range list {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
				asks = asks || !request.IsZero() || !limit.IsZero()
				// A limit alone is a request too: defaulting has made it one.
				guaranteed = guaranteed && !limit.IsZero() && (request.IsZero() || request.Cmp(limit) == 0)
			}
		}
	}
	switch {
	case !asks:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
