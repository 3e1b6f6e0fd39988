package pod

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// unsupported refuses what would otherwise be dropped without a word. Where there is
// no SELinux its options mean nothing, as to Kubernetes' runtimes.
func unsupported(pod *corev1.Pod, c *corev1.Container, selinux bool) error {
	if err := unsupportedByPod(&pod.Spec); err != nil {
		return err
	}
	if selinux && labelled(&pod.Spec, c) {
		return errors.New("seLinuxOptions are not supported on a node that runs SELinux")
	}
	if len(c.VolumeDevices) > 0 {
		return errors.New("volumeDevices are not supported")
	}
	if l := c.Lifecycle; l != nil && (l.PostStart != nil || l.PreStop != nil) {
		return errors.New("lifecycle hooks are not supported")
	}
	if len(c.Resources.Claims) > 0 {
		return errors.New("resource claims are not supported")
	}
	for _, p := range c.Ports {
		if p.HostPort != 0 && !pod.Spec.HostNetwork {
			return fmt.Errorf("hostPort %d is not supported without hostNetwork; use a Service of type NodePort", p.HostPort)
		}
	}
	for _, m := range c.VolumeMounts {
		if r := m.RecursiveReadOnly; r != nil && *r == corev1.RecursiveReadOnlyEnabled {
			return fmt.Errorf("recursiveReadOnly of volume mount %q is not supported", m.Name)
		}
	}
	if sc := c.SecurityContext; sc != nil {
		if err := unsupportedProfile(sc.AppArmorProfile); err != nil {
			return err
		}
	}
	return nil
}

func unsupportedByPod(spec *corev1.PodSpec) error {
	switch {
	case spec.HostUsers != nil && !*spec.HostUsers:
		return errors.New("user namespaces (hostUsers: false) are not supported")
	case spec.Resources != nil && (len(spec.Resources.Limits) > 0 || len(spec.Resources.Requests) > 0):
		return errors.New("resources of a whole pod are not supported")
	}
	if sc := spec.SecurityContext; sc != nil {
		if p := sc.SupplementalGroupsPolicy; p != nil && *p == corev1.SupplementalGroupsPolicyStrict {
			return errors.New("supplementalGroupsPolicy Strict is not supported")
		}
		return unsupportedProfile(sc.AppArmorProfile)
	}
	return nil
}

func labelled(spec *corev1.PodSpec, c *corev1.Container) bool {
	return spec.SecurityContext != nil && spec.SecurityContext.SELinuxOptions != nil ||
		c.SecurityContext != nil && c.SecurityContext.SELinuxOptions != nil
}

func unsupportedProfile(p *corev1.AppArmorProfile) error {
	if p != nil && p.Type == corev1.AppArmorProfileTypeLocalhost {
		return errors.New("AppArmor profiles of type Localhost are not supported")
	}
	return nil
}
