package scheduler_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
