package core_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/scheduler/core"
)

func TestChoice(t *testing.T) {
	for _, tc := range []struct {
		name  string
		pod   *core.Pod
		nodes []*core.Node
		want  string
	}{
		{"the first of equals", pod("p"), []*core.Node{node("a"), node("b")}, "a"},
		{"the emptier", pod("p"), []*core.Node{with(node("a"), pod("q", requests("cpu", "2", "memory", "4Gi"))), node("b")}, "b"},
		{"the larger", pod("p", requests("cpu", "1", "memory", "2Gi")), []*core.Node{node("a", allocatable("cpu", "2", "memory", "4Gi")), node("b")}, "b"},
		{"away from its like, though fuller", pod("p", app("w")),
			[]*core.Node{with(node("a"), pod("q", app("w"))), with(node("b"), pod("r", requests("cpu", "2", "memory", "4Gi"), app("x")))}, "b"},
		{"counts only its own namespace", pod("p", app("w")),
			[]*core.Node{with(node("a"), pod("q", app("w"), func(p *corev1.Pod) { p.Namespace = "other" })), with(node("b"), pod("r", app("w")))}, "a"},
		{"the balanced", pod("p", requests("cpu", "1", "memory", "1Gi")),
			[]*core.Node{
				with(node("a", allocatable("cpu", "10", "memory", "10Gi")), pod("q", requests("cpu", "6", "memory", "1Mi"))),
				with(node("b", allocatable("cpu", "10", "memory", "10Gi")), pod("r", requests("cpu", "3", "memory", "3Gi"))),
			}, "b"},
		{"the preferred zone", pod("p", prefers("z")), []*core.Node{node("a"), node("b", label("zone", "z"))}, "b"},
		{"the untainted", pod("p"), []*core.Node{node("a", taint("k", "v", corev1.TaintEffectPreferNoSchedule)), node("b")}, "b"},
		{"the only feasible", pod("p", selector("disk", "ssd")), []*core.Node{node("a"), with(node("b", label("disk", "ssd")), pod("q", requests("cpu", "3")))}, "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			placer := core.NewPlacer()
			if res := placer.Place(tc.pod, tc.nodes); res.Node == nil || res.Node.Name != tc.want {
				t.Errorf("placed on %v, want %s", res.Node, tc.want)
			}
			verdicts, _ := placer.Explain(tc.pod, tc.nodes)
			if verdicts[0].Node != tc.want {
				t.Errorf("Explain puts %s first, want %s", verdicts[0].Node, tc.want)
			}
			for _, v := range verdicts {
				if v.Score < 0 || v.Score > 100 {
					t.Errorf("score %d of %s is out of range", v.Score, v.Node)
				}
			}
		})
	}
}

func TestMessage(t *testing.T) {
	taint1 := taint("k", "v", corev1.TaintEffectNoSchedule)
	for _, tc := range []struct {
		name  string
		nodes []*core.Node
		want  string
	}{
		{"none", nil, "no nodes available to schedule pods"},
		{"mixed", []*core.Node{node("a", taint1), node("b", taint1), node("c", allocatable("cpu", "1", "memory", "1Gi"))},
			"0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}."},
		{"two reasons of one node", []*core.Node{node("a", allocatable("cpu", "1", "memory", "1Mi"))},
			"0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := core.NewPlacer().Place(pod("p", requests("cpu", "2", "memory", "1Gi")), tc.nodes)
			if res.Node != nil || res.Message() != tc.want {
				t.Errorf("%v %q, want %q", res.Node, res.Message(), tc.want)
			}
		})
	}
}

func BenchmarkPlace(b *testing.B) {
	for _, count := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			nodes := make([]*core.Node, count)
			for i := range nodes {
				nodes[i] = node(fmt.Sprintf("n%05d", i), allocatable("cpu", "64", "memory", "256Gi", "pods", "100000000"))
			}
			placer, p := core.NewPlacer(), pod("p", requests("cpu", "1m", "memory", "1Ki"), app("w"))
			b.ReportAllocs()
			for b.Loop() {
				res := placer.Place(p, nodes)
				if res.Node == nil {
					b.Fatal(res.Message())
				}
				res.Node.Add(p)
			}
		})
	}
}
