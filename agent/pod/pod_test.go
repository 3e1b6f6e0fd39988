package pod_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestPodRuns(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "serve"))
		p := r.pod("web")
		if p.Status.Phase != corev1.PodRunning || p.Status.PodIP != "10.244.0.1" || p.Status.HostIP != "192.0.2.1" {
			t.Fatalf("status %+v", p.Status)
		}
		for _, c := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
			if got := condition(p, c); got == nil || got.Status != corev1.ConditionTrue {
				t.Errorf("condition %s is %+v", c, got)
			}
		}
		if p.Status.QOSClass != corev1.PodQOSBestEffort || p.Status.StartTime == nil {
			t.Errorf("QoS %s, start %v", p.Status.QOSClass, p.Status.StartTime)
		}
		c := r.main("web")
		if !c.Ready || c.State.Running == nil || !strings.HasPrefix(c.ContainerID, "fake://") {
			t.Errorf("container %+v", c)
		}
		for _, want := range []string{`Pulling: Pulling image "busybox"`, `Pulled: Successfully pulled image "busybox" in 0s (0s including waiting). Image size: 1048576 bytes.`, "Created: ", "Started: Started container main"} {
			if r.cluster.said(want) != 1 {
				t.Errorf("events %q lack %q", r.cluster.events, want)
			}
		}
		// Nothing changes, nothing is written.
		before := r.cluster.written()
		r.after(10 * time.Minute)
		if n := r.cluster.written() - before; n != 0 {
			t.Errorf("%d status writes of a pod at rest", n)
		}
	})
}
