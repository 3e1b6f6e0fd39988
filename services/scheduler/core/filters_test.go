package core_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/scheduler/core"
)

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
		{"room of one that grows", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "3"), runs("1", "1", ""))), []string{"Insufficient cpu"}},
		{"room of one that shrinks", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "1"), runs("1", "3", ""))), []string{"Insufficient cpu"}},
		{"room that was granted", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "1"), runs("3", "1", ""))), []string{"Insufficient cpu"}},
		{"room of one that waits to grow", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "3"), runs("1", "1", "Deferred"))), []string{"Insufficient cpu"}},
		{"room of one that cannot grow", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "3"), runs("1", "1", "Infeasible"))), nil},
		{"room of one that shrank", pod("p", requests("cpu", "2")), with(node("n"), pod("q", requests("cpu", "1"), runs("1", "1", ""))), nil},
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
