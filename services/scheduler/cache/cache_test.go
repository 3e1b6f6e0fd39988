package cache_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/scheduler/cache"
	"github.com/musterhq/muster/services/scheduler/core"
)

// node has room for one CPU.
func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Allocatable: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")},
		Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
}

// pod asks for one CPU.
func pod(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}}}
}

// place returns where pods go, "" for nowhere.
func place(c *cache.Cache, names ...string) []string {
	var pods []*core.Pod
	for _, n := range names {
		pods = append(pods, core.NewPod(pod(n, "")))
	}
	var out []string
	for _, res := range c.Place(pods) {
		if res.Node == nil {
			out = append(out, "")
		} else {
			out = append(out, res.Node.Name)
		}
	}
	return out
}

func full(c *cache.Cache, name string) bool { return !c.Fits(core.NewPod(pod("probe", "")), name) }

func TestPlaceSeesWhatItAssumed(t *testing.T) {
	c := cache.New()
	c.SetNode(node("b"))
	c.SetNode(node("a"))
	if got := place(c, "p", "q", "r"); got[0] != "a" || got[1] != "b" || got[2] != "" {
		t.Errorf("placed %v", got)
	}
	if !c.Assumed("p") || c.Assumed("r") {
		t.Error("what was placed, and only that, is assumed")
	}
}

func TestAssumptions(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*cache.Cache)
		full bool
	}{
		{"stand", func(*cache.Cache) {}, true},
		{"are forgotten", func(c *cache.Cache) { c.Forget("p") }, false},
		{"stand news of before", func(c *cache.Cache) { c.SetPod(pod("p", "")) }, true},
		{"are confirmed, then stay", func(c *cache.Cache) { c.SetPod(pod("p", "a")); c.Forget("p") }, true},
		{"are confirmed once", func(c *cache.Cache) { c.SetPod(pod("p", "a")); c.SetPod(pod("p", "a")); c.RemovePod("p") }, false},
		{"give way to the truth", func(c *cache.Cache) { c.SetPod(pod("p", "elsewhere")) }, false},
		{"end with the pod", func(c *cache.Cache) { c.RemovePod("p") }, false},
		{"outlive their node", func(c *cache.Cache) { c.RemoveNode("a"); c.SetNode(node("a")) }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cache.New()
			c.SetNode(node("a"))
			if got := place(c, "p"); got[0] != "a" {
				t.Fatalf("placed %v", got)
			}
			tc.do(c)
			if full(c, "a") != tc.full {
				t.Errorf("full %v, want %v", !tc.full, tc.full)
			}
		})
	}
}

func TestRemovedPodsTellWhereTheirRoomWas(t *testing.T) {
	c := cache.New()
	c.SetNode(node("a"))
	c.SetPod(pod("bound", "elsewhere"))
	place(c, "assumed")
	for name, want := range map[types.UID]string{"bound": "elsewhere", "assumed": "a", "unknown": ""} {
		if got := c.RemovePod(name); got != want {
			t.Errorf("%s had room on %q, want %q", name, got, want)
		}
		if again := c.RemovePod(name); again != "" {
			t.Errorf("%s had room on %q a second time", name, again)
		}
	}
}

func TestPodsAreCountedBeforeTheirNodeIsSeen(t *testing.T) {
	c := cache.New()
	c.SetPod(pod("p", "a"))
	c.SetNode(node("a"))
	if !full(c, "a") {
		t.Error("a pod seen before its node is not counted")
	}
	c.RemoveNode("a")
	if got := place(c, "q"); got[0] != "" {
		t.Errorf("placed on %q, which is gone", got[0])
	}
}

func TestExplainLeavesNoTrace(t *testing.T) {
	c := cache.New()
	c.SetNode(node("a"))
	c.SetPod(pod("p", "a"))
	for range 3 {
		if v, _ := c.Explain(core.NewPod(pod("p", ""))); len(v) != 1 || !v[0].Feasible {
			t.Errorf("a placed pod does not fit where it is: %v", v)
		}
		if v, res := c.Explain(core.NewPod(pod("q", ""))); v[0].Feasible || res.Message() != "0/1 nodes are available: 1 Insufficient cpu." {
			t.Errorf("explained %v %q", v, res.Message())
		}
	}
}
