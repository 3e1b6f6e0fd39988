package pod_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestDeadline(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		p := simple("short", "serve")
		seconds := int64(60)
		p.Spec.ActiveDeadlineSeconds = &seconds
		r.apply(p)
		r.after(58 * time.Second)
		if p := r.pod("short"); p.Status.Phase != corev1.PodRunning {
			t.Fatalf("before its deadline: %+v", p.Status)
		}
		r.after(2 * time.Minute)
		s := r.pod("short").Status
		if s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" || s.Message != "Pod was active on the node longer than the specified deadline" {
			t.Errorf("after its deadline: %s %s: %s", s.Phase, s.Reason, s.Message)
		}
		if s.ContainerStatuses[0].State.Terminated == nil {
			t.Errorf("its container: %+v", s.ContainerStatuses[0].State)
		}
		if n := r.cluster.said("DeadlineExceeded: Pod was active on the node longer than the specified deadline"); n != 1 {
			t.Errorf("said %d times: %q", n, r.cluster.events)
		}
	})
}

func TestDeletionLeavesNothing(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("stubborn", "ignore-term"))
		r.apply(simple("polite", "serve"))
		var last corev1.PodStatus
		r.cluster.onDelete = func(p *corev1.Pod) {
			if p.Name == "polite" {
				last = p.Status
			}
		}
		r.cluster.remove("polite", 30)
		r.cluster.remove("stubborn", 7)
		r.after(6 * time.Second)
		if r.cluster.get("polite") != nil {
			t.Error("a pod that ended at once is still there")
		}
		if r.cluster.get("stubborn") == nil {
			t.Error("a pod was removed before its grace")
		}
		if c := last.ContainerStatuses; last.Phase != corev1.PodFailed || len(c) != 1 || c[0].State.Terminated.ExitCode != 143 {
			t.Errorf("last status %+v", last)
		}
		r.after(2 * time.Second)
		if r.cluster.get("stubborn") != nil {
			t.Error("a pod outlives its grace")
		}
		r.empty()
		if r.cluster.said("Killing: Stopping container main") != 2 {
			t.Errorf("events %q", r.cluster.events)
		}
	})
}

func TestShorterGraceHastens(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "ignore-term"))
		r.cluster.remove("web", 600)
		r.after(5 * time.Second)
		r.cluster.remove("web", 6)
		r.after(2 * time.Second)
		if r.cluster.get("web") != nil {
			t.Error("a shorter grace does not hasten the end")
		}
	})
}
