package registry

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// evictAfter is how long a pod stays on a node that is not ready or not
// reachable, unless it says otherwise.
const evictAfter = int64(300)

// defaultPod fills in what a pod has and a pod template has not: what follows
// from the limits, and what Kubernetes' admission adds.
func defaultPod(obj *corev1.Pod) {
	defaultPodSpec(&obj.Spec)
	for _, list := range [][]corev1.Container{obj.Spec.InitContainers, obj.Spec.Containers} {
		for i := range list {
			defaultRequests(&list[i].Resources)
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

// defaultPodSpec fills in what pods and pod templates have in common.
func defaultPodSpec(spec *corev1.PodSpec) {
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
		defaultVolume(&spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		defaultContainer(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		defaultContainer(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		defaultContainer((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

func defaultContainer(c *corev1.Container) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = corev1.PullIfNotPresent
		if imageTag(c.Image) == "latest" {
			c.ImagePullPolicy = corev1.PullAlways
		}
	}
	if c.TerminationMessagePath == "" {
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if c.TerminationMessagePolicy == "" {
		c.TerminationMessagePolicy = corev1.TerminationMessageReadFile
	}
	for i := range c.Ports {
		if c.Ports[i].Protocol == "" {
			c.Ports[i].Protocol = corev1.ProtocolTCP
		}
	}
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil && from.FieldRef != nil && from.FieldRef.APIVersion == "" {
			from.FieldRef.APIVersion = "v1"
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil {
			defaultProbe(p)
		}
	}
	roundQuantities(c.Resources.Limits)
	roundQuantities(c.Resources.Requests)
}

func defaultProbe(p *corev1.Probe) {
	for value, otherwise := range map[*int32]int32{
		&p.TimeoutSeconds: 1, &p.PeriodSeconds: 10, &p.SuccessThreshold: 1, &p.FailureThreshold: 3,
	} {
		if *value == 0 {
			*value = otherwise
		}
	}
	if h := p.HTTPGet; h != nil && h.Path == "" {
		h.Path = "/"
	}
	if h := p.HTTPGet; h != nil && h.Scheme == "" {
		h.Scheme = corev1.URISchemeHTTP
	}
	if p.GRPC != nil && p.GRPC.Service == nil {
		p.GRPC.Service = ptr.To("")
	}
}

// imageTag returns the tag of an image reference: "latest" when it has neither
// tag nor digest, nothing when it has a digest only.
func imageTag(image string) string {
	name, _, digest := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[i+1:]
	}
	if digest {
		return ""
	}
	return "latest"
}

// defaultRequests asks for as much as is allowed where nothing is asked for.
func defaultRequests(r *corev1.ResourceRequirements) {
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
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

func defaultVolume(v *corev1.Volume) {
	mode := func(m **int32) {
		if *m == nil {
			*m = ptr.To(int32(0o644))
		}
	}
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if v.ConfigMap != nil {
		mode(&v.ConfigMap.DefaultMode)
	}
	if v.Secret != nil {
		mode(&v.Secret.DefaultMode)
	}
	if v.DownwardAPI != nil {
		mode(&v.DownwardAPI.DefaultMode)
		defaultDownward(v.DownwardAPI.Items)
	}
	if v.Projected != nil {
		mode(&v.Projected.DefaultMode)
		for _, s := range v.Projected.Sources {
			if s.DownwardAPI != nil {
				defaultDownward(s.DownwardAPI.Items)
			}
			if s.ServiceAccountToken != nil && s.ServiceAccountToken.ExpirationSeconds == nil {
				s.ServiceAccountToken.ExpirationSeconds = ptr.To(int64(60 * 60))
			}
		}
	}
	if v.HostPath != nil && v.HostPath.Type == nil {
		v.HostPath.Type = ptr.To(corev1.HostPathUnset)
	}
}

func defaultDownward(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		if ref := items[i].FieldRef; ref != nil && ref.APIVersion == "" {
			ref.APIVersion = "v1"
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
