package podspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/volume"
)

// evictAfter is how long a pod stays on a node that is not ready or not
// reachable, unless it says otherwise.
const evictAfter = int64(300)

// DefaultPod fills in what a pod has and a pod template has not: what follows
// from the limits, and what Kubernetes' admission adds.
func DefaultPod(obj *corev1.Pod) {
	Default(&obj.Spec)
	for _, list := range [][]corev1.Container{obj.Spec.InitContainers, obj.Spec.Containers} {
		for i := range list {
			container.DefaultRequests(&list[i].Resources)
		}
	}
	if obj.Spec.EnableServiceLinks == nil {
		obj.Spec.EnableServiceLinks = ptr.To(corev1.DefaultEnableServiceLinks)
	}
	if obj.Spec.HostNetwork {
		defaultHostPorts(obj.Spec.Containers)
		defaultHostPorts(obj.Spec.InitContainers)
	}
	if obj.Spec.ServiceAccountName == "" {
		obj.Spec.ServiceAccountName = "default"
		obj.Spec.DeprecatedServiceAccount = "default"
	}
	obj.Spec.Tolerations = withEvictionTolerations(obj.Spec.Tolerations)
}

// Default fills in what pods and pod templates have in common.
func Default(spec *corev1.PodSpec) {
	if spec.DNSPolicy == "" {
		spec.DNSPolicy = corev1.DNSClusterFirst
	}
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = ptr.To(int64(corev1.DefaultTerminationGracePeriodSeconds))
	}
	if spec.SchedulerName == "" {
		spec.SchedulerName = corev1.DefaultSchedulerName
	}
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
	for i := range spec.Volumes {
		volume.Default(&spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		container.Default(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		container.Default(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		container.Default((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

// defaultHostPorts: on the host's network a port of the container is one of the host.
func defaultHostPorts(list []corev1.Container) {
	for i := range list {
		for j := range list[i].Ports {
			if p := &list[i].Ports[j]; p.HostPort == 0 {
				p.HostPort = p.ContainerPort
			}
		}
	}
}

// withEvictionTolerations lets a pod stay for a while on a node that is not
// ready or unreachable, unless a toleration of its own covers that.
func withEvictionTolerations(list []corev1.Toleration) []corev1.Toleration {
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		covered := false
		for _, t := range list {
			if (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
				covered = true
			}
		}
		if !covered {
			list = append(list, corev1.Toleration{
				Key: key, Operator: corev1.TolerationOpExists,
				Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(evictAfter),
			})
		}
	}
	return list
}
