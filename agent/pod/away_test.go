package pod_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestNodeTakenForLostSaysOtherwiseWhenItIsBack(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		ready := func() corev1.ConditionStatus {
			for _, c := range r.pod("web").Status.Conditions {
				if c.Type == corev1.PodReady {
					return c.Status
				}
			}
			return ""
		}
		callLost := func() {
			p := r.pod("web")
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
					c.Status, c.Reason = corev1.ConditionFalse, "NodeNotReady"
				}
			}
			n, _ := strconv.Atoi(p.ResourceVersion)
			p.ResourceVersion = strconv.Itoa(n + 1)
			r.apply(p)
		}
		r.apply(simple("web", "serve"))
		r.lost.Store(true)
		callLost()
		r.after(2 * time.Minute)
		if got := ready(); got != corev1.ConditionFalse {
			t.Errorf("while the node counts as lost its pod is ready: %s", got)
		}
		r.lost.Store(false)
		r.manager.Reassert()
		synctest.Wait()
		if got := ready(); got != corev1.ConditionTrue {
			t.Errorf("after the node came back its pod is ready: %s", got)
		}
		callLost() // by one who has not heard yet
		if got := ready(); got != corev1.ConditionTrue {
			t.Errorf("after a late word its pod is ready: %s", got)
		}
	})
}

func TestClusterAwayKeepsPodsAndTellsLater(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.cluster.mu.Lock()
		r.cluster.down = true
		r.cluster.mu.Unlock()
		r.apply(simple("web", "serve"))
		r.after(time.Minute)
		if len(r.pod("web").Status.ContainerStatuses) != 0 {
			t.Fatal("the cluster was not away")
		}
		r.cluster.mu.Lock()
		r.cluster.down = false
		r.cluster.mu.Unlock()
		r.after(10 * time.Second)
		if p := r.pod("web"); p.Status.Phase != corev1.PodRunning {
			t.Errorf("status %+v", p.Status)
		}
	})
}
