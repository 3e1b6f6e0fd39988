package replicaset_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/controllermanager/replicaset"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func set(replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "rs", Generation: 7},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web", "full": "yes"}}}},
	}
}

type edit func(*corev1.Pod)

// pod is running, ready and available, on node n1, made an hour ago.
func pod(name string, edits ...edit) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
			Labels: map[string]string{"app": "web", "full": "yes"}},
		Spec: corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-time.Hour))}}},
	}
	for _, e := range edits {
		e(p)
	}
	return p
}

func unassigned(p *corev1.Pod) { p.Spec.NodeName = ""; waiting(p) }
func waiting(p *corev1.Pod)    { p.Status.Phase = corev1.PodPending; notReady(p) }
func notReady(p *corev1.Pod)   { p.Status.Conditions[0].Status = corev1.ConditionFalse }
func failed(p *corev1.Pod)     { p.Status.Phase = corev1.PodFailed; notReady(p) }
func ending(p *corev1.Pod)     { at := metav1.NewTime(now); p.DeletionTimestamp = &at }
func on(node string) edit      { return func(p *corev1.Pod) { p.Spec.NodeName = node } }
func cost(n int) edit {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: fmt.Sprint(n)} }
}
func readyFor(d time.Duration) edit {
	return func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-d)) }
}
func restarted(n int32) edit {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: n}} }
}
func made(d time.Duration) edit {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-d)) }
}

func TestCount(t *testing.T) {
	for name, tc := range map[string]struct {
		replicas       int32
		pods           []*corev1.Pod
		coming         int
		create, delete int
	}{
		"none yet":                    {3, nil, 0, 3, 0},
		"one missing":                 {3, []*corev1.Pod{pod("a"), pod("b")}, 0, 1, 0},
		"one on its way":              {3, []*corev1.Pod{pod("a"), pod("b")}, 1, 0, 0},
		"one too many":                {1, []*corev1.Pod{pod("a"), pod("b")}, 0, 0, 1},
		"too many, one not seen":      {1, []*corev1.Pod{pod("a")}, 1, 0, 1},
		"ended ones do not count":     {2, []*corev1.Pod{pod("a", failed), pod("b", ending)}, 0, 2, 0},
		"never more than a burst":     {9000, nil, 0, 500, 0},
		"all on their way, none seen": {1, nil, 4, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			plan := replicaset.Decide(replicaset.Observed{Set: set(tc.replicas), Pods: tc.pods, Coming: tc.coming, Now: now})
			if plan.Create != tc.create || len(plan.Delete) != tc.delete {
				t.Errorf("create %d, delete %d; want %d, %d", plan.Create, len(plan.Delete), tc.create, tc.delete)
			}
		})
	}
}

// TestVictims removes one of each pair: always the first.
func TestVictims(t *testing.T) {
	for name, pair := range map[string][2]*corev1.Pod{
		"without a node":              {pod("z", unassigned), pod("a", waiting)},
		"pending":                     {pod("z", waiting), pod("a", notReady)},
		"not ready":                   {pod("z", notReady), pod("a", cost(-5))},
		"cheap":                       {pod("z", cost(-1)), pod("a", on("crowded"))},
		"doubled up":                  {pod("z", on("crowded")), pod("a", readyFor(time.Second))},
		"ready for a shorter time":    {pod("z", readyFor(time.Second)), pod("a", restarted(9))},
		"as long ready, by magnitude": {pod("a", readyFor(70*time.Minute)), pod("z", restarted(9))},
		"restarted more":              {pod("z", restarted(2)), pod("a", restarted(1), made(time.Second))},
		"younger":                     {pod("z", made(time.Second)), pod("a")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pods := range [][]*corev1.Pod{{pair[0], pair[1]}, {pair[1], pair[0]}} {
				plan := replicaset.Decide(replicaset.Observed{Set: set(1), Pods: pods, Now: now, Related: map[string]int{"n1": 1, "crowded": 2}})
				if len(plan.Delete) != 1 || plan.Delete[0] != pair[0] {
					t.Errorf("deletes %s, wanted %s", plan.Delete[0].Name, pair[0].Name)
				}
			}
		})
	}
}

func TestStatus(t *testing.T) {
	rs := set(5)
	rs.Spec.MinReadySeconds = 30
	half := pod("half")
	delete(half.Labels, "full")
	gone := pod("gone")
	plan := replicaset.Decide(replicaset.Observed{
		Set: rs, Now: now,
		Pods:  []*corev1.Pod{pod("a"), pod("b", readyFor(10*time.Second)), pod("c", notReady), half, pod("d", ending), pod("e", failed), gone},
		Going: func(p *corev1.Pod) bool { return p == gone },
	})
	s := plan.Status
	got := []int32{s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, *s.TerminatingReplicas, int32(s.ObservedGeneration)}
	if want := []int32{4, 3, 3, 2, 2, 7}; !slices.Equal(got, want) {
		t.Errorf("replicas, labelled, ready, available, terminating, observed = %v, want %v", got, want)
	}
	if plan.RequeueAfter != 20*time.Second {
		t.Errorf("looks again after %v", plan.RequeueAfter)
	}
}

func TestFailureCondition(t *testing.T) {
	c := replicaset.FailureCondition(nil, "FailedCreate", errors.New("no"), now)
	if len(c) != 1 || c[0].Reason != "FailedCreate" || c[0].Message != "no" {
		t.Fatalf("%+v", c)
	}
	again := replicaset.FailureCondition(c, "FailedCreate", errors.New("still no"), now.Add(time.Hour))
	if again[0] != c[0] {
		t.Errorf("the same failure changed the condition: %+v", again)
	}
	if left := replicaset.FailureCondition(c, "", nil, now); len(left) != 0 {
		t.Errorf("success left %+v", left)
	}
}
