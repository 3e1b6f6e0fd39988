package scheduler_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

func TestUnschedulableUntilANodeAppears(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		small := node("small", "1")
		tainted := node("tainted", "8")
		tainted.Spec.Taints = []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}
		create(f, small, tainted)
		f.start("a")
		create(f, pod("p", "2"))
		time.Sleep(time.Second)
		message := "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}."
		if got, want := condition(f.pod("p")), "False Unschedulable: "+message; got != want {
			t.Errorf("condition %q, want %q", got, want)
		}
		if got, want := f.events("p"), []string{"Warning FailedScheduling: " + message + " x1"}; !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		version := f.pod("p").ResourceVersion
		create(f, node("tiny", "1"))
		time.Sleep(10 * time.Second)
		if p := f.pod("p"); p.ResourceVersion != version {
			t.Error("a node that cannot help had the pod written at once")
		}
		time.Sleep(30 * time.Second)
		if got, want := condition(f.pod("p")), "False Unschedulable: 0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 Insufficient cpu."; got != want {
			t.Errorf("with another node condition %q, want %q", got, want)
		}
		create(f, node("big", "4"))
		time.Sleep(50 * time.Millisecond)
		p := f.pod("p")
		if p.Spec.NodeName != "big" || !strings.HasPrefix(condition(p), "True") {
			t.Errorf("on %q with %q 50 ms after a node that fits appeared", p.Spec.NodeName, condition(p))
		}
	})
}

func TestRoomThatBecomesFreeIsTaken(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "1"))
		f.start("a")
		create(f, pod("first", "1"))
		time.Sleep(100 * time.Millisecond)
		create(f, pod("second", "1"))
		time.Sleep(time.Second)
		if f.pod("second").Spec.NodeName != "" {
			t.Fatal("the node's only CPU was given away twice")
		}
		first := f.pod("first")
		first.Status.Phase = corev1.PodSucceeded
		if _, err := sdk.UpdateStatus(f.Context(), f.client, first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if f.pod("second").Spec.NodeName != "n" {
			t.Error("the room of a pod that ended was not taken")
		}
	})
}

func TestRoomOfAPodThatShrinksIsTaken(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "2"))
		f.start("a")
		create(f, pod("first", "2"))
		time.Sleep(100 * time.Millisecond)
		create(f, pod("second", "1"))
		time.Sleep(time.Second)
		has := func(cpu string) {
			first := f.pod("first")
			first.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: first.Spec.Containers[0].Name, Resources: &corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}
			if _, err := sdk.UpdateStatus(f.Context(), f.client, first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		has("2")
		smaller := f.pod("first")
		smaller.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1")
		if _, err := sdk.Update(f.Context(), f.client, smaller); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if f.pod("second").Spec.NodeName != "" {
			t.Fatal("room was given away before the pod gave it up")
		}
		has("1")
		if f.pod("second").Spec.NodeName != "n" {
			t.Error("the room of a pod that shrank was not taken")
		}
	})
}

func TestNotReadyNodeIsAvoidedUntilItIs(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		n := node("n", "4")
		n.Status.Conditions[0].Status = corev1.ConditionFalse
		create(f, n)
		f.start("a")
		create(f, pod("p", "1"))
		time.Sleep(time.Second)
		if got, want := condition(f.pod("p")), "False Unschedulable: 0/1 nodes are available: 1 node(s) were not ready."; got != want {
			t.Errorf("condition %q, want %q", got, want)
		}
		n, err := sdk.Get[*corev1.Node](f.Context(), f.client, "", "n")
		if err != nil {
			t.Fatal(err)
		}
		n.Status.Conditions[0].Status = corev1.ConditionTrue
		if _, err := sdk.UpdateStatus(f.Context(), f.client, n); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if f.pod("p").Spec.NodeName != "n" {
			t.Error("not bound when the node became ready")
		}
	})
}

// What a pod is told follows its nodes also when none can help it.
func TestIsToldWhatIsTrueNow(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("a", "1"), node("b", "1"))
		f.start("a")
		create(f, pod("p", "2"))
		setReady := func(status corev1.ConditionStatus) {
			n, err := sdk.Get[*corev1.Node](f.Context(), f.client, "", "b")
			if err != nil {
				t.Fatal(err)
			}
			n.Status.Conditions[0].Status = status
			if _, err := sdk.UpdateStatus(f.Context(), f.client, n); err != nil {
				t.Fatal(err)
			}
		}
		told := func(want string) {
			t.Helper()
			time.Sleep(time.Minute)
			if got := condition(f.pod("p")); got != "False Unschedulable: "+want {
				t.Errorf("condition %q, want %q", got, want)
			}
		}
		told("0/2 nodes are available: 2 Insufficient cpu.")
		setReady(corev1.ConditionFalse)
		told("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were not ready.")
		setReady(corev1.ConditionTrue)
		told("0/2 nodes are available: 2 Insufficient cpu.")
		if err := sdk.Delete[*corev1.Node](f.Context(), f.client, "", "b", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		told("0/1 nodes are available: 1 Insufficient cpu.")
	})
}

func TestPodThatWantsAnotherFollowsIt(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "8"), node("m", "8"))
		f.start("a")
		follower := pod("follower", "1")
		follower.Labels = nil
		follower.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: "name", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}}}
		create(f, follower)
		time.Sleep(time.Second)
		if got, want := condition(f.pod("follower")), "False Unschedulable: 0/2 nodes are available: 2 node(s) didn't match pod affinity rules."; got != want {
			t.Fatalf("condition %q, want %q", got, want)
		}
		create(f, pod("first", "1"))
		time.Sleep(time.Second)
		if first := f.pod("first").Spec.NodeName; first == "" || f.pod("follower").Spec.NodeName != first {
			t.Errorf("first on %q, follower on %q", first, f.pod("follower").Spec.NodeName)
		}
	})
}

func TestIsNotToldOfAfterItIsBound(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("small", "1"))
		f.start("a")
		// What says that the pod fits nowhere takes its time on the way; a node for
		// it appears meanwhile.
		var held atomic.Bool
		f.cluster.Fail(func(_ string, req any) error {
			if r, ok := req.(*apiv1.TransactRequest); ok && r.Operations[0].GetPatch() != nil && held.CompareAndSwap(false, true) {
				time.Sleep(time.Second)
			}
			return nil
		})
		create(f, pod("p", "2"))
		time.Sleep(100 * time.Millisecond)
		create(f, node("big", "4"))
		time.Sleep(3 * time.Second)
		if p := f.pod("p"); !held.Load() || p.Spec.NodeName != "big" || !strings.HasPrefix(condition(p), "True") {
			t.Errorf("held up %v, on %q with %q", held.Load(), p.Spec.NodeName, condition(p))
		}
	})
}

// evenly asks for the pod to be spread over the nodes by name.
func evenly(p *corev1.Pod) *corev1.Pod {
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "name",
		WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}}}
	return p
}

// TestSpreadPodsWaitForTheirPlaces has a full node, on which there may be no pod
// of the spread, and one on which there is one already.
func TestSpreadPodsWaitForTheirPlaces(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(ctx context.Context, c *sdk.Client) error
	}{
		{"until there is one place less", func(ctx context.Context, c *sdk.Client) error {
			return sdk.Delete[*corev1.Node](ctx, c, "", "full", sdk.DeleteOptions{})
		}},
		{"until the other pod is ending", func(ctx context.Context, c *sdk.Client) error {
			return sdk.Delete[*corev1.Pod](ctx, c, "default", "first", sdk.DeleteOptions{GracePeriodSeconds: ptr.To(int64(30))})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(f *fixture) {
				t := f.T
				create(f, node("free", "4"), node("full", "0"))
				f.start("a")
				create(f, evenly(pod("first", "1")))
				time.Sleep(100 * time.Millisecond)
				create(f, evenly(pod("second", "1")))
				time.Sleep(time.Second)
				if p := f.pod("second"); f.pod("first").Spec.NodeName != "free" || p.Spec.NodeName != "" {
					t.Fatalf("first on %q, second on %q", f.pod("first").Spec.NodeName, p.Spec.NodeName)
				}
				if err := tc.end(t.Context(), f.client); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				if p := f.pod("second"); p.Spec.NodeName != "free" {
					t.Errorf("second on %q: %s", p.Spec.NodeName, condition(p))
				}
			})
		})
	}
}
