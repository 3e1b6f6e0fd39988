package volume_test

import (
	"testing"

	"github.com/musterhq/muster/agent/volume"
	corev1 "k8s.io/api/core/v1"
)

func TestWhatTheAgentWritesIsReadOnly(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "downward", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{}}},
		{Name: "projected", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}},
	}}}
	for name, want := range map[string]bool{"secret": true, "config": true, "downward": true, "projected": true, "scratch": false, "host": false, "none": false} {
		if got := volume.IsReadOnly(pod, name); got != want {
			t.Errorf("%s: read-only is %t, want %t", name, got, want)
		}
	}
}
