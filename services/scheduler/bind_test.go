package scheduler_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

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
