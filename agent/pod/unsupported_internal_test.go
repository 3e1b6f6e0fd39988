package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSELinuxOptions(t *testing.T) {
	options := &corev1.SELinuxOptions{Level: "s0"}
	plain := corev1.Container{Name: "a"}
	own := corev1.Container{Name: "a", SecurityContext: &corev1.SecurityContext{SELinuxOptions: options}}
	of := func(c corev1.Container, sc *corev1.PodSecurityContext) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: sc, Containers: []corev1.Container{c}}}
	}
	for name, tc := range map[string]struct {
		pod     *corev1.Pod
		selinux bool
		refused bool
	}{
		"none":                    {of(plain, &corev1.PodSecurityContext{}), true, false},
		"of the pod":              {of(plain, &corev1.PodSecurityContext{SELinuxOptions: options}), true, true},
		"of the container":        {of(own, nil), true, true},
		"where there is none":     {of(own, nil), false, false},
		"of the pod, likewise so": {of(plain, &corev1.PodSecurityContext{SELinuxOptions: options}), false, false},
	} {
		if err := unsupported(tc.pod, &tc.pod.Spec.Containers[0], tc.selinux); (err != nil) != tc.refused {
			t.Errorf("%s: %v, refused should be %t", name, err, tc.refused)
		}
	}
}
