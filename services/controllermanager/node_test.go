package controllermanager_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

func (w *world) readiness(name string) corev1.ConditionStatus {
	for _, c := range get[*corev1.Node](w, name).Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return ""
}

// pair runs web with four pods on two nodes.
func pair(w *world) (a1, a2 *agent) {
	a1, a2 = w.node(1), w.node(2)
	w.within(5*time.Second, "two nodes ready", func() bool {
		return w.readiness("n1") == corev1.ConditionTrue && w.readiness("n2") == corev1.ConditionTrue &&
			len(get[*corev1.Node](w, "n1").Spec.Taints)+len(get[*corev1.Node](w, "n2").Spec.Taints) == 0
	})
	create(w, webService())
	create(w, web(4, "v1"))
	w.within(5*time.Second, "four pods", w.rolledOut(4))
	w.within(time.Second, "endpoints on both nodes", func() bool { r := w.ready(); return r["n1"] > 0 && r["n2"] > 0 && r["n1"]+r["n2"] == 4 })
	return a1, a2
}

func TestSilentNodeLosesEndpointsThenPods(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		a1, _ := pair(w)
		a1.become(silent)
		// Without a hint it takes until the next steady probe.
		w.within(8*time.Second, "no endpoints on the dead node", func() bool { return w.ready()["n1"] == 0 })
		if got := w.readiness("n1"); got != corev1.ConditionUnknown {
			t.Errorf("n1 is Ready=%s", got)
		}
		for _, pod := range list[*corev1.Pod](w) {
			if pod.DeletionTimestamp != nil {
				t.Fatalf("pod %s was evicted at once", pod.Name)
			}
		}
		took := w.within(320*time.Second, "its pods replaced", func() bool { return w.ready()["n2"] == 4 })
		if took < 290*time.Second {
			t.Errorf("evicted after %v, tolerated for 300 s", took)
		}
		if err := sdk.Delete[*corev1.Node](w.ctx, w.client, "", "n1", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.within(5*time.Second, "the dead node's pods gone", func() bool { return len(list[*corev1.Pod](w)) == 4 })
	})
}

func TestNodeComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		a1, _ := pair(w)
		a1.become(silent)
		w.within(8*time.Second, "n1 lost", func() bool { return w.ready()["n1"] == 0 })
		time.Sleep(time.Minute)
		a1.become(answering)
		w.within(5*time.Second, "n1 back, with its endpoints", func() bool { r := w.ready(); return r["n1"]+r["n2"] == 4 && r["n1"] > 0 })
		w.within(time.Second, "no taints", func() bool { return len(get[*corev1.Node](w, "n1").Spec.Taints) == 0 })
		if n := len(list[*corev1.Pod](w)); n != 4 {
			t.Errorf("%d pods", n)
		}
	})
}

func TestAgentThatRestartsKeepsItsNode(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		a1, _ := pair(w)
		a1.become(refusing)
		for range 80 {
			time.Sleep(100 * time.Millisecond)
			if got := w.readiness("n1"); got != corev1.ConditionTrue {
				t.Fatalf("Ready=%s while the agent restarts", got)
			}
		}
		a1.become(answering)
		time.Sleep(20 * time.Second)
		if got := w.readiness("n1"); got != corev1.ConditionTrue {
			t.Fatalf("Ready=%s after the agent came back", got)
		}
		a1.become(refusing)
		w.within(18*time.Second, "an agent that stays away", func() bool { return w.readiness("n1") == corev1.ConditionUnknown })
	})
}

func TestNothingIsEvictedWhenAllSeemGone(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		a1, a2 := pair(w)
		a1.become(silent)
		a2.become(silent)
		w.within(8*time.Second, "both unknown", func() bool {
			return w.readiness("n1") == corev1.ConditionUnknown && w.readiness("n2") == corev1.ConditionUnknown
		})
		time.Sleep(10 * time.Minute)
		for _, pod := range list[*corev1.Pod](w) {
			if pod.DeletionTimestamp != nil {
				t.Errorf("pod %s was evicted", pod.Name)
			}
		}
	})
}

func TestPodNetworksAreGivenOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		for n := range 20 {
			w.node(n + 1)
		}
		w.within(5*time.Second, "a network each", func() bool {
			seen := map[string]bool{}
			for _, n := range list[*corev1.Node](w) {
				if n.Spec.PodCIDR != "" {
					if seen[n.Spec.PodCIDR] {
						t.Fatalf("%s given twice", n.Spec.PodCIDR)
					}
					seen[n.Spec.PodCIDR] = true
				}
			}
			return len(seen) == 20
		})
	})
}

func TestCordonTaints(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		pair(w)
		change(w, "n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
		w.within(time.Second, "the taint", func() bool {
			taints := get[*corev1.Node](w, "n1").Spec.Taints
			return len(taints) == 1 && taints[0].Key == corev1.TaintNodeUnschedulable && taints[0].Effect == corev1.TaintEffectNoSchedule
		})
		change(w, "n1", func(n *corev1.Node) { n.Spec.Unschedulable = false })
		w.within(time.Second, "no taint", func() bool { return len(get[*corev1.Node](w, "n1").Spec.Taints) == 0 })
	})
}

func TestSuccessorTakesOver(t *testing.T) {
	inWorld(t, func(w *world) {
		first, stop := w.manage("a")
		w.within(5*time.Second, "a leader", first.Leading)
		second, stopSecond := w.manage("b")
		defer stopSecond()
		w.node(1)
		create(w, web(3, "v1"))
		w.within(5*time.Second, "three pods", w.rolledOut(3))
		if second.Leading() {
			t.Fatal("two lead")
		}
		stop()
		w.within(10*time.Second, "the second leads", second.Leading)
		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "v2" })
		w.within(10*time.Second, "the second image", w.rolledOut(3))
		if n := len(list[*corev1.Pod](w)); n > 4 {
			t.Errorf("%d pods", n)
		}
	})
}

func TestRefusedPodsAreTold(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		w.cluster.Fail(func(method string, req any) error { return refusePods(req) })
		create(w, web(3, "v1"))
		w.within(5*time.Second, "the failure in the deployment", func() bool {
			for _, c := range get[*appsv1.Deployment](w, "web").Status.Conditions {
				if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate" {
					return true
				}
			}
			return false
		})
		w.cluster.Fail(nil)
		w.within(2*time.Minute, "three pods after all", w.rolledOut(3))
		w.within(time.Second, "the failure gone", func() bool {
			for _, c := range get[*appsv1.Deployment](w, "web").Status.Conditions {
				if c.Type == appsv1.DeploymentReplicaFailure {
					return false
				}
			}
			return true
		})
	})
}

// refusePods forbids transactions that create pods.
func refusePods(req any) error {
	tx, ok := req.(*apiv1.TransactRequest)
	if !ok {
		return nil
	}
	for _, op := range tx.GetOperations() {
		if strings.HasSuffix(op.GetCreate().GetObject().GetTypeUrl(), "core.v1.Pod") {
			return sdktest.Refuse(apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("exceeded quota")))
		}
	}
	return nil
}
