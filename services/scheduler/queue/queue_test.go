package queue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/scheduler/core"
	"github.com/musterhq/muster/services/scheduler/queue"
)

func pod(name string, priority int32) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{Priority: &priority}}
}

// popWithin pops all that is active within a time.
func popWithin(t *testing.T, q *queue.Queue, d time.Duration) []*queue.Item {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return q.Pop(ctx, 100)
}

func names(items []*queue.Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.Pod.Object.Name)
	}
	return out
}

func always(*core.Pod) bool { return true }

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New()
		for _, p := range []*corev1.Pod{pod("old", 0), pod("high", 5), pod("new", 0)} {
			q.Add(p)
			time.Sleep(time.Millisecond)
		}
		if got, want := names(popWithin(t, q, time.Second)), []string{"high", "old", "new"}; !slices.Equal(got, want) {
			t.Errorf("popped %v, want %v", got, want)
		}
	})
}

func TestLimitLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New()
		for _, n := range []string{"a", "b", "c"} {
			q.Add(pod(n, 0))
		}
		if got := q.Pop(t.Context(), 2); len(got) != 2 {
			t.Errorf("popped %v", names(got))
		}
		if got := names(q.Pop(t.Context(), 2)); !slices.Equal(got, []string{"c"}) {
			t.Errorf("then %v", got)
		}
	})
}

func TestRestEndsByWakeSpecOrTime(t *testing.T) {
	for _, tc := range []struct {
		name   string
		end    func(*queue.Queue)
		within time.Duration
		comes  bool
	}{
		{"nothing", func(*queue.Queue) {}, 4 * time.Minute, false},
		{"time", func(*queue.Queue) {}, 6 * time.Minute, true},
		{"wake", func(q *queue.Queue) { q.Wake(always) }, time.Millisecond, true},
		{"wake of others", func(q *queue.Queue) { q.Wake(func(*core.Pod) bool { return false }) }, 4 * time.Minute, false},
		{"review", func(q *queue.Queue) { q.Review(); time.Sleep(20 * time.Second); q.Review() }, 11 * time.Second, true},
		{"not at once", func(q *queue.Queue) { q.Review() }, 29 * time.Second, false},
		{"status changed", func(q *queue.Queue) {
			p := pod("p", 0)
			p.Status.Message = "x"
			q.Update(p)
		}, 4 * time.Minute, false},
		{"spec changed", func(q *queue.Queue) {
			p := pod("p", 0)
			p.Spec.NodeSelector = map[string]string{"a": "b"}
			q.Update(p)
		}, time.Millisecond, true},
		{"deleted", func(q *queue.Queue) { q.Delete("p") }, 10 * time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queue.New()
				q.Add(pod("p", 0))
				q.Rest(popWithin(t, q, time.Second)[0])
				tc.end(q)
				if got := popWithin(t, q, tc.within); (len(got) == 1) != tc.comes {
					t.Errorf("came back: %v, want %v", names(got), tc.comes)
				}
			})
		})
	}
}

// TestChangesWhilePoppedCount gives back pods that were judged by what was.
func TestChangesWhilePoppedCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New()
		q.Add(pod("p", 0))
		it := popWithin(t, q, time.Second)[0]
		q.Wake(always)
		q.Rest(it)
		if got := popWithin(t, q, time.Second); len(got) != 1 {
			t.Error("a wake while the pod was popped was lost")
		}
		changed := pod("p", 0)
		changed.Spec.NodeSelector = map[string]string{"a": "b"}
		if !q.Update(changed) || it.Pod.Object.Spec.NodeSelector != nil {
			t.Error("a popped pod was changed under its user, or the change not taken")
		}
		q.Rest(it)
		got := popWithin(t, q, time.Second)
		if len(got) != 1 || got[0].Pod.Object.Spec.NodeSelector == nil {
			t.Error("a change while the pod was popped was lost")
		}
		q.Delete("p")
		q.Rest(it)
		q.Retry(it)
		if got := popWithin(t, q, time.Hour); got != nil {
			t.Error("a pod deleted while popped came back")
		}
	})
}

func TestRetryBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New()
		q.Add(pod("p", 0))
		it := popWithin(t, q, time.Second)[0]
		for _, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000} {
			begun := time.Now()
			q.Retry(it)
			q.Wake(always)
			it = popWithin(t, q, time.Minute)[0]
			if took := time.Since(begun); took != want*time.Millisecond {
				t.Errorf("came back after %s, want %d ms", took, want)
			}
		}
	})
}

func TestPopEndsWithItsContext(t *testing.T) {
	q := queue.New()
	q.Add(pod("p", 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := q.Pop(ctx, 1); got != nil {
		t.Errorf("popped %v for one that was told to stop", names(got))
	}
	if active, _ := q.Len(); active != 1 {
		t.Errorf("%d pods left, want the one", active)
	}
}
