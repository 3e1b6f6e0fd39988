package scheduler_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func node(name, cpu string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

func pod(name, cpu string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}},
	}
}

// fixture is a cluster with one scheduler that leads.
type fixture struct {
	*testing.T
	cluster *sdktest.Cluster
	client  *sdk.Client
}

func inBubble(t *testing.T, f func(f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t, "s1", "s2")
		f(&fixture{T: t, cluster: cluster, client: cluster.Client(t)})
	})
}

// start runs a scheduler until the returned function, or the test, ends it.
func (f *fixture) start(identity string) (*scheduler.Scheduler, func()) {
	f.Helper()
	s, err := scheduler.New(scheduler.Config{Client: f.cluster.Client(f), Identity: identity})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			f.Errorf("Run: %v", err)
		}
	}
	f.Cleanup(stop)
	time.Sleep(time.Second)
	return s, stop
}

func create[T sdk.Object](f *fixture, objects ...T) {
	f.Helper()
	for _, o := range objects {
		if _, err := sdk.Create(f.Context(), f.client, o); err != nil {
			f.Fatal(err)
		}
	}
}

func (f *fixture) pod(name string) *corev1.Pod {
	f.Helper()
	p, err := sdk.Get[*corev1.Pod](f.Context(), f.client, "default", name)
	if err != nil {
		f.Fatal(err)
	}
	return p
}

// perNode counts the bound pods.
func (f *fixture) perNode() map[string]int {
	f.Helper()
	page, err := sdk.List[*corev1.Pod](f.Context(), f.client, sdk.ListOptions{})
	if err != nil {
		f.Fatal(err)
	}
	out := map[string]int{}
	for _, p := range page.Items {
		if p.Spec.NodeName != "" {
			out[p.Spec.NodeName]++
		}
	}
	return out
}

// events returns "reason: message xcount" of a pod.
func (f *fixture) events(pod string) []string {
	f.Helper()
	time.Sleep(time.Second)
	page, err := sdk.List[*corev1.Event](f.Context(), f.client, sdk.ListOptions{Namespace: "default"})
	if err != nil {
		f.Fatal(err)
	}
	var out []string
	for _, e := range page.Items {
		if e.InvolvedObject.Name == pod && e.InvolvedObject.Kind == "Pod" && e.Source.Component == "default-scheduler" {
			out = append(out, fmt.Sprintf("%s %s: %s x%d", e.Type, e.Reason, e.Message, e.Count))
		}
	}
	slices.Sort(out)
	return out
}

func condition(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

func TestBindsAndSpreads(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		for i := range 50 {
			create(f, node(fmt.Sprintf("n%02d", i), "16"))
		}
		f.start("a")
		// Pods that come one by one are bound, and their events written, in as many
		// transactions as it happens; but each of them once.
		var operations atomic.Int64
		f.cluster.Fail(func(_ string, req any) error {
			if r, ok := req.(*apiv1.TransactRequest); ok {
				operations.Add(int64(len(r.Operations)))
			}
			return nil
		})
		for i := range 1000 {
			create(f, pod(fmt.Sprintf("p%04d", i), "100m"))
		}
		time.Sleep(5 * time.Second)
		counts := slices.Sorted(maps.Values(f.perNode()))
		if len(counts) != 50 || counts[0] != 20 || counts[49] != 20 {
			t.Errorf("pods per node: %v, want 20 on each of 50", counts)
		}
		if n := operations.Load(); n != 2000 {
			t.Errorf("%d bindings and events for 1,000 pods, want one each", n)
		}
		want := "Normal Scheduled: Successfully assigned default/p0000 to " + f.pod("p0000").Spec.NodeName + " x1"
		if got := f.events("p0000"); !slices.Equal(got, []string{want}) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestWaitingPodsAreBoundInFewTransactions(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		for i := range 10 {
			create(f, node(fmt.Sprintf("n%02d", i), "64"))
		}
		for i := range 1000 {
			create(f, pod(fmt.Sprintf("p%04d", i), "100m"))
		}
		f.start("a")
		time.Sleep(5 * time.Second)
		if got := f.perNode(); len(got) != 10 || got["n00"] != 100 {
			t.Errorf("pods per node: %v", got)
		}
		// 4 of bindings, 8 of events.
		if calls := f.cluster.Calls("Transact"); calls > 15 {
			t.Errorf("%d transactions", calls)
		}
	})
}

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
		time.Sleep(time.Minute)
		if p := f.pod("p"); p.ResourceVersion != version {
			t.Error("a node that cannot help had the pod written again")
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

func TestHigherPriorityGoesFirst(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		low, high := pod("low", "1"), pod("zhigh", "1")
		priority := int32(1000)
		high.Spec.Priority = &priority
		create(f, low, high)
		create(f, node("n", "1"))
		f.start("a")
		time.Sleep(time.Second)
		if f.pod("zhigh").Spec.NodeName != "n" || f.pod("low").Spec.NodeName != "" {
			t.Error("the lower priority took the only place")
		}
	})
}

func TestLeavesOtherPodsAlone(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		other, gated := pod("other", "1"), pod("gated", "1")
		other.Spec.SchedulerName = "mine"
		gated.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}}
		create(f, node("n", "4"))
		create(f, other, gated)
		f.start("a")
		time.Sleep(time.Second)
		for _, name := range []string{"other", "gated"} {
			if p := f.pod(name); p.Spec.NodeName != "" || condition(p) != "" {
				t.Errorf("%s was touched: %q %q", name, p.Spec.NodeName, condition(p))
			}
		}
		p := f.pod("gated")
		p.Spec.SchedulingGates = nil
		if _, err := sdk.Update(f.Context(), f.client, p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if f.pod("gated").Spec.NodeName != "n" {
			t.Error("not bound when the last gate was lifted")
		}
	})
}

func TestRefusedBindingSplitsTheBatch(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "64"))
		for i := range 20 {
			create(f, pod(fmt.Sprintf("p%02d", i), "100m"))
		}
		// Another writer binds two of them just before the first transaction.
		stolen := false
		thief := f.cluster.Client(t)
		f.cluster.Fail(func(method string, _ any) error {
			if !strings.HasSuffix(method, "/Transact") || stolen {
				return nil
			}
			stolen = true
			for _, name := range []string{"p03", "p11"} {
				p, err := sdk.Get[*corev1.Pod](t.Context(), thief, "default", name)
				if err == nil {
					_, err = thief.Transact(t.Context(), sdk.BindOp(p, "elsewhere"))
				}
				if err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		f.start("a")
		time.Sleep(2 * time.Second)
		if got := f.perNode(); got["n"] != 18 || got["elsewhere"] != 2 {
			t.Errorf("pods per node: %v, want 18 on n and the two stolen ones elsewhere", got)
		}
	})
}

func TestLostAnswerIsLookedUp(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "64"))
		lost := 0
		f.cluster.Fail(func(method string, _ any) error {
			if strings.HasSuffix(method, "/Transact") && lost < 3 {
				lost++
				return status.Error(codes.Unavailable, "no leader")
			}
			return nil
		})
		f.start("a")
		create(f, pod("p", "1"))
		time.Sleep(2 * time.Second)
		if f.pod("p").Spec.NodeName != "n" || lost != 3 {
			t.Errorf("not bound after %d lost transactions", lost)
		}
	})
}

func TestAnotherInstanceTakesOver(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "64"))
		a, stopA := f.start("a")
		b, _ := f.start("b")
		if !a.Leading() || b.Leading() {
			t.Fatalf("leading: a %v, b %v", a.Leading(), b.Leading())
		}
		resp, err := b.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "none"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("Explain of no pod: %v, %v", resp, err)
		}
		stopA()
		create(f, pod("p", "1"))
		time.Sleep(time.Second)
		if !b.Leading() || f.pod("p").Spec.NodeName != "n" {
			t.Error("b did not take over within a second of a's end")
		}
	})
}

func TestExplain(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("a", "1"), node("b", "4"), node("c", "8"))
		leader, _ := f.start("a")
		standby, _ := f.start("b")
		create(f, pod("bound", "2"), pod("stuck", "9"))
		time.Sleep(time.Second)
		for _, s := range []*scheduler.Scheduler{leader, standby} {
			resp, err := s.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "bound"})
			if err != nil {
				t.Fatal(err)
			}
			if resp.NodeName != "c" || resp.Leading != s.Leading() || resp.Message != "Successfully assigned default/bound to c" {
				t.Errorf("bound: %v", resp)
			}
			if len(resp.Nodes) != 3 || resp.Nodes[0].Node != "c" || !resp.Nodes[0].Feasible || len(resp.Nodes[0].Scores) == 0 ||
				resp.Nodes[2].Node != "a" || !slices.Equal(resp.Nodes[2].Reasons, []string{"Insufficient cpu"}) {
				t.Errorf("bound: %v", resp.Nodes)
			}
			resp, err = s.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "stuck"})
			if err != nil || resp.NodeName != "" || resp.Message != "0/3 nodes are available: 3 Insufficient cpu." {
				t.Errorf("stuck: %v, %v", resp, err)
			}
		}
	})
}
