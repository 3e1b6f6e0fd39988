package allocation_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/agent/allocation"
)

// node has four cores and 4 GiB, and notes who was granted what it waited for.
type node struct {
	*allocation.Ledger
	dir     string
	granted []string
}

func newNode(t *testing.T, pods ...*corev1.Pod) *node {
	n := &node{dir: t.TempDir()}
	n.reopen(pods...)
	return n
}

// reopen is what a restart of the agent does.
func (n *node) reopen(pods ...*corev1.Pod) {
	n.Ledger = allocation.New(allocation.Config{
		Dir: n.dir, Allocatable: requests("4", "4Gi"), Granted: func(uid string) { n.granted = append(n.granted, uid) },
	})
	for _, p := range pods {
		n.Add(p)
	}
}

func requests(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func pod(name, cpu, memory string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: requests(cpu, memory)}}}},
	}
}

func important(p *corev1.Pod, priority int32) *corev1.Pod {
	p.Spec.Priority = ptr.To(priority)
	return p
}

func (n *node) expect(t *testing.T, p *corev1.Pod, want allocation.State) {
	t.Helper()
	if v, err := n.Resize(p); err != nil || v.State != want {
		t.Errorf("resize %s: %+v, %v, want state %d", p.Name, v, err, want)
	}
}

func (n *node) cpu(t *testing.T, p *corev1.Pod) string {
	t.Helper()
	got, err := n.Allocated(p)
	if err != nil {
		t.Fatal(err)
	}
	return got.Spec.Containers[0].Resources.Requests.Cpu().String()
}

func TestGrantsOutliveTheAgent(t *testing.T) {
	n := newNode(t, pod("a", "1", "1Gi"))
	n.Complete()
	n.cpu(t, pod("a", "1", "1Gi"))
	wanted := pod("a", "3", "1Gi")
	n.reopen(wanted, pod("b", "2", "1Gi"))
	n.expect(t, wanted, allocation.Undecided)
	if got := n.cpu(t, wanted); got != "1" {
		t.Errorf("granted %s before all pods were known, want 1", got)
	}
	n.Complete()
	n.expect(t, wanted, allocation.Deferred)
	smaller := pod("a", "2", "1Gi")
	n.expect(t, smaller, allocation.Granted)
	n.expect(t, smaller, allocation.Unchanged)
	n.reopen(smaller)
	if got := n.cpu(t, pod("a", "4", "1Gi")); got != "2" {
		t.Errorf("remembered %s, want 2", got)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "a", "allocation.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.reopen(wanted)
	if got := n.cpu(t, wanted); got != "3" {
		t.Errorf("with a damaged record: %s, want what is asked for", got)
	}
}

func TestWhoIsFirst(t *testing.T) {
	pods := []*corev1.Pod{pod("big", "3", "1Gi"), pod("plain", "100m", "1Gi"), pod("sure", "100m", "1Gi"), important(pod("vital", "100m", "1Gi"), 9)}
	pods[2].Status.QOSClass = corev1.PodQOSGuaranteed
	n := newNode(t, pods...)
	n.Complete()
	for _, p := range []*corev1.Pod{pod("plain", "2500m", "1Gi"), pod("sure", "1", "1Gi"), important(pod("vital", "1", "1Gi"), 9)} {
		n.expect(t, p, allocation.Deferred)
	}
	n.Remove("big")
	if want := []string{"vital", "sure"}; !slices.Equal(n.granted, want) {
		t.Errorf("granted %v, want %v", n.granted, want)
	}
	n.expect(t, important(pod("vital", "1", "1Gi"), 9), allocation.Granted)
}

func TestRoomIsTakenUntilItIsGivenUp(t *testing.T) {
	n := newNode(t, pod("a", "3", "1Gi"), pod("b", "1", "1Gi"))
	n.Complete()
	running := &corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main",
		Resources: &corev1.ResourceRequirements{Requests: requests("3", "1Gi")}}}}
	n.Report("a", running)
	n.expect(t, pod("a", "1", "1Gi"), allocation.Granted)
	n.expect(t, pod("b", "2", "1Gi"), allocation.Deferred)
	running.ContainerStatuses[0].Resources.Requests = requests("1", "1Gi")
	n.Report("a", running)
	if !slices.Equal(n.granted, []string{"b"}) {
		t.Errorf("granted %v once a is smaller", n.granted)
	}
}

func TestAnOverbookedNodeTakesLess(t *testing.T) {
	n := newNode(t, pod("a", "5", "1Gi"), pod("b", "2", "1Gi"))
	n.Complete()
	n.expect(t, pod("a", "4500m", "1Gi"), allocation.Granted)
	n.expect(t, pod("b", "2", "2Gi"), allocation.Granted)
	n.expect(t, pod("b", "2", "5Gi"), allocation.Infeasible)
	n.expect(t, pod("b", "2100m", "2Gi"), allocation.Deferred)
}
