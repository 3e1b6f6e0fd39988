package core_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/scheduler/core"
)

// TestRelations has pods on a1; nodes a1 and a2 are in zone a, b1 in b, x in none.
func TestRelations(t *testing.T) {
	elsewhere := func(p *corev1.Pod) { p.Namespace = "other" }
	for _, tc := range []struct {
		name     string
		pod      *core.Pod
		there    []*core.Pod
		feasible []string
		reason   string // of a node that is not
	}{
		{"apart by node", pod("p", app("w"), apart("kubernetes.io/hostname")), []*core.Pod{pod("q", app("w"))}, []string{"a2", "b1", "x"}, "node(s) didn't match pod anti-affinity rules"},
		{"apart by zone", pod("p", app("w"), apart("zone")), []*core.Pod{pod("q", app("w"))}, []string{"b1", "x"}, "node(s) didn't match pod anti-affinity rules"},
		{"apart from others only", pod("p", app("w"), apart("zone")), []*core.Pod{pod("q", app("v"))}, []string{"a1", "a2", "b1", "x"}, ""},
		{"apart in its namespace", pod("p", app("w"), apart("zone")), []*core.Pod{pod("q", app("w"), elsewhere)}, []string{"a1", "a2", "b1", "x"}, ""},
		{"kept away", pod("p", app("w")), []*core.Pod{pod("q", app("v"), apart("zone"))}, []string{"b1", "x"}, "node(s) didn't satisfy existing pods anti-affinity rules"},
		{"together by zone", pod("p", together("zone")), []*core.Pod{pod("q", app("w"))}, []string{"a1", "a2"}, "node(s) didn't match pod affinity rules"},
		{"together with nobody", pod("p", app("v"), together("zone")), nil, nil, "node(s) didn't match pod affinity rules"},
		{"the first of its kind", pod("p", app("w"), together("zone")), nil, []string{"a1", "a2", "b1"}, "node(s) didn't match pod affinity rules"},
		{"evenly by zone", pod("p", app("w"), even("zone", 1)), []*core.Pod{pod("q", app("w"))}, []string{"b1"}, "node(s) didn't match pod topology spread constraints"},
		{"loosely by zone", pod("p", app("w"), even("zone", 2)), []*core.Pod{pod("q", app("w"))}, []string{"a1", "a2", "b1"}, "node(s) didn't match pod topology spread constraints (missing required label)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nodes := zoned(tc.there...)
			verdicts, _ := core.NewPlacer().Explain(tc.pod, nodes)
			var feasible []string
			reasons := map[string]bool{}
			for _, v := range verdicts {
				if v.Feasible {
					feasible = append(feasible, v.Node)
				}
				for _, r := range v.Reasons {
					reasons[r] = true
				}
			}
			slices.Sort(feasible)
			if !slices.Equal(feasible, tc.feasible) || (tc.reason != "") != reasons[tc.reason] {
				t.Errorf("feasible %v for %v, want %v for %q", feasible, reasons, tc.feasible, tc.reason)
			}
			for _, n := range nodes {
				if core.Fits(tc.pod, n, nodes) != slices.Contains(tc.feasible, n.Name) {
					t.Errorf("Fits disagrees about %s", n.Name)
				}
			}
		})
	}
}

// TestWishes has pods on a1; nodes a1 and a2 are in zone a, b1 in b, x in none.
func TestWishes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pod    *core.Pod
		there  []*core.Pod
		scorer string
		want   map[string]int64
		first  string
	}{
		{"near by zone", pod("p", likes("zone", 5)), []*core.Pod{pod("q", app("w"))}, "PodAffinity", map[string]int64{"a1": 100, "a2": 100, "b1": 0, "x": 0}, "a2"},
		{"near its own kind", pod("p", app("w"), likes("kubernetes.io/hostname", 5)), []*core.Pod{pod("q", app("w"))}, "PodAffinity", map[string]int64{"a1": 100, "a2": 0, "b1": 0, "x": 0}, "a1"},
		{"far by zone", pod("p", likes("zone", -5)), []*core.Pod{pod("q", app("w"))}, "PodAffinity", map[string]int64{"a1": 0, "a2": 0, "b1": 100, "x": 100}, "b1"},
		{"nobody there", pod("p", likes("zone", 5)), nil, "PodAffinity", map[string]int64{"a1": 0, "a2": 0, "b1": 0, "x": 0}, "a1"},
		{"even by zone", pod("p", app("v"), ratherEven), []*core.Pod{pod("q", app("w"))}, "TopologySpread", map[string]int64{"a1": 0, "a2": 0, "b1": 100, "x": 0}, "b1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdicts, res := core.NewPlacer().Explain(tc.pod, zoned(tc.there...))
			for _, v := range verdicts {
				if !v.Feasible || v.Scores[tc.scorer] != tc.want[v.Node] {
					t.Errorf("%s: feasible %v, score %d, want %d", v.Node, v.Feasible, v.Scores[tc.scorer], tc.want[v.Node])
				}
			}
			if res.Node.Name != tc.first {
				t.Errorf("placed on %s, want %s", res.Node.Name, tc.first)
			}
		})
	}
}
