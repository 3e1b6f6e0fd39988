package core_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/scheduler/core"
)

type nodeOption func(*corev1.Node)

func node(name string, opts ...nodeOption) *core.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status: corev1.NodeStatus{
			Allocatable: resources("cpu", "4", "memory", "8Gi", "ephemeral-storage", "20Gi", "pods", "110"),
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, o := range opts {
		o(n)
	}
	out := core.NewNode(name)
	out.Set(n)
	return out
}

func allocatable(kv ...string) nodeOption {
	return func(n *corev1.Node) { n.Status.Allocatable = resources(kv...) }
}

func taint(key, value string, effect corev1.TaintEffect) nodeOption {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func label(key, value string) nodeOption {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }
func notReady(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }

func resources(kv ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		out[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return out
}

type podOption func(*corev1.Pod)

func pod(name string, opts ...podOption) *core.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}},
	}
	for _, o := range opts {
		o(p)
	}
	return core.NewPod(p)
}

func requests(kv ...string) podOption {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = resources(kv...) }
}

func initRequests(kv ...string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Resources: corev1.ResourceRequirements{Requests: resources(kv...)}}}
	}
}

func app(name string) podOption {
	return func(p *corev1.Pod) { p.Labels = map[string]string{"app": name} }
}

func selector(key, value string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func toleration(key string, effect corev1.TaintEffect) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect})
	}
}

func hostPort(ip string, port int32) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: port, HostPort: port, HostIP: ip}}
	}
}

func zones(zones ...string) podOption {
	term := []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: zones}}}}
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: term}}}
	}
}

func prefers(zone string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight:     10,
			Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}},
		}}}}
	}
}

// with counts pods in on a node.
func with(n *core.Node, pods ...*core.Pod) *core.Node {
	for _, p := range pods {
		n.Add(p)
	}
	return n
}

func TestFilters(t *testing.T) {
	noSchedule, noExecute, prefer := corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule
	for _, tc := range []struct {
		name string
		pod  *core.Pod
		node *core.Node
		want []string // empty: feasible
	}{
		{"plain", pod("p"), node("n"), nil},
		{"cordoned", pod("p"), node("n", cordoned), []string{"node(s) were unschedulable"}},
		{"cordoned tolerated", pod("p", toleration("node.kubernetes.io/unschedulable", noSchedule)), node("n", cordoned), nil},
		{"not ready", pod("p"), node("n", notReady), []string{"node(s) were not ready"}},
		{"not ready tolerated", pod("p", toleration("node.kubernetes.io/not-ready", "")), node("n", notReady), nil},
		{"not ready tolerated for running only", pod("p", toleration("node.kubernetes.io/not-ready", noExecute)), node("n", notReady), []string{"node(s) were not ready"}},
		{"named", pod("p", func(p *corev1.Pod) { p.Spec.NodeName = "n" }), node("n"), nil},
		{"another named", pod("p", func(p *corev1.Pod) { p.Spec.NodeName = "m" }), node("n"), []string{"node(s) didn't match the requested node name"}},
		{"selected", pod("p", selector("disk", "ssd")), node("n", label("disk", "ssd")), nil},
		{"not selected", pod("p", selector("disk", "ssd")), node("n"), []string{"node(s) didn't match Pod's node affinity/selector"}},
		{"affine", pod("p", zones("a", "b")), node("n", label("zone", "b")), nil},
		{"not affine", pod("p", zones("a", "b")), node("n", label("zone", "c")), []string{"node(s) didn't match Pod's node affinity/selector"}},
		{"tainted", pod("p"), node("n", taint("k", "v", noSchedule)), []string{"node(s) had untolerated taint {k: v}"}},
		{"tainted no execute", pod("p"), node("n", taint("k", "", noExecute)), []string{"node(s) had untolerated taint {k: }"}},
		{"tainted softly", pod("p"), node("n", taint("k", "v", prefer)), nil},
		{"taint tolerated", pod("p", toleration("k", noSchedule)), node("n", taint("k", "v", noSchedule)), nil},
		{"fits exactly", pod("p", requests("cpu", "1")), with(node("n", allocatable("cpu", "2", "memory", "1Gi")), pod("q", requests("cpu", "1"))), nil},
		{"one milli short", pod("p", requests("cpu", "1001m")), with(node("n", allocatable("cpu", "2", "memory", "1Gi")), pod("q", requests("cpu", "1"))), []string{"Insufficient cpu"}},
		{"several short", pod("p", requests("cpu", "9", "memory", "9Gi", "ephemeral-storage", "99Gi", "example.com/gpu", "1")), node("n"),
			[]string{"Insufficient cpu", "Insufficient memory", "Insufficient ephemeral-storage", "Insufficient example.com/gpu"}},
		{"init container counts", pod("p", initRequests("cpu", "5")), node("n"), []string{"Insufficient cpu"}},
		{"asks for nothing of a full node", pod("p"), with(node("n", allocatable("cpu", "1", "memory", "1Gi")), pod("q", requests("cpu", "1", "memory", "1Gi"))), nil},
		{"too many pods", pod("p"), with(node("n", allocatable("cpu", "1", "memory", "1Gi", "pods", "1")), pod("q")), []string{"Too many pods"}},
		{"gpu", pod("p", requests("example.com/gpu", "1")), node("n", allocatable("cpu", "1", "memory", "1Gi", "example.com/gpu", "1")), nil},
		{"host port free", pod("p", hostPort("", 80)), with(node("n"), pod("q", hostPort("", 81))), nil},
		{"host port taken", pod("p", hostPort("", 80)), with(node("n"), pod("q", hostPort("10.0.0.1", 80))), []string{"node(s) didn't have free ports for the requested pod ports"}},
		{"host port on another address", pod("p", hostPort("10.0.0.2", 80)), with(node("n"), pod("q", hostPort("10.0.0.1", 80))), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdicts, _ := core.NewPlacer().Explain(tc.pod, []*core.Node{tc.node})
			if v := verdicts[0]; v.Feasible != (len(tc.want) == 0) || !slices.Equal(v.Reasons, tc.want) {
				t.Errorf("feasible %v, reasons %q; want %q", v.Feasible, v.Reasons, tc.want)
			}
			if core.Fits(tc.pod, tc.node, []*core.Node{tc.node}) != (len(tc.want) == 0) {
				t.Error("Fits disagrees")
			}
		})
	}
}

func TestDefaultPodLimit(t *testing.T) {
	n := node("n", allocatable("cpu", "4", "memory", "8Gi"))
	for i := range 110 {
		if !core.Fits(pod("p"), n, []*core.Node{n}) {
			t.Fatalf("full after %d pods", i)
		}
		n.Add(pod(fmt.Sprint(i)))
	}
	if core.Fits(pod("p"), n, []*core.Node{n}) {
		t.Error("takes 111 pods")
	}
}

func TestRemoveGivesBack(t *testing.T) {
	n, p := node("n"), pod("q", requests("cpu", "4", "example.com/gpu", "1"), hostPort("", 80), app("a"))
	n.Add(p)
	n.Remove(p)
	if !n.Empty() || !core.Fits(pod("p", requests("cpu", "4"), hostPort("", 80)), n, []*core.Node{n}) {
		t.Error("something of a removed pod stayed")
	}
}

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

func zoned(pods ...*core.Pod) []*core.Node {
	nodes := []*core.Node{node("a1", label("zone", "a")), node("a2", label("zone", "a")), node("b1", label("zone", "b")), node("x")}
	return append([]*core.Node{with(nodes[0], pods...)}, nodes[1:]...)
}

func apart(key string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: key, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "w"}}}}}}
	}
}

func together(key string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: key, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "w"}}}}}}
	}
}

func even(key string, skew int32) podOption {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: skew, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "w"}}}}
	}
}

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

// likes prefers, or with a negative weight avoids, places where pods of w are.
func likes(key string, weight int32) podOption {
	return func(p *corev1.Pod) {
		t := corev1.WeightedPodAffinityTerm{Weight: max(weight, -weight), PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: key,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "w"}}}}
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
		if weight > 0 {
			p.Spec.Affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{t}
		} else {
			p.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{t}
		}
	}
}

func ratherEven(p *corev1.Pod) {
	even("zone", 1)(p)
	p.Spec.TopologySpreadConstraints[0].WhenUnsatisfiable = corev1.ScheduleAnyway
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
