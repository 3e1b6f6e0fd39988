package events_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/events"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func recorder(t *testing.T, c *sdk.Client) (r *events.Recorder, stop func()) {
	t.Helper()
	r = events.New(events.Config{Client: c, Component: "kubelet", Host: "n1"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func list(t *testing.T, c *sdk.Client) []*corev1.Event {
	t.Helper()
	page, err := sdk.List[*corev1.Event](t.Context(), c, sdk.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

var (
	pod  = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "p", UID: "u"}}
	node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "v"}}
)

func TestRepeatsRaiseTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		r, stop := recorder(t, c)
		for range 6 {
			r.Event(pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting %s", "c")
			time.Sleep(10 * time.Second)
		}
		stop()
		all := list(t, c)
		if len(all) != 1 {
			t.Fatalf("%d events, want one", len(all))
		}
		e := all[0]
		if e.Count != 6 || e.LastTimestamp.Sub(e.FirstTimestamp.Time) != 50*time.Second {
			t.Errorf("count %d over %s, want 6 over 50 s", e.Count, e.LastTimestamp.Sub(e.FirstTimestamp.Time))
		}
		if want := fmt.Sprintf("p.%016x", e.FirstTimestamp.UnixNano()); e.Name != want || e.Namespace != "web" || e.Message != "Back-off restarting c" || e.Source.Component != "kubelet" || e.Source.Host != "n1" {
			t.Errorf("event %v, want the name %s", e, want)
		}
		if o := e.InvolvedObject; o.Kind != "Pod" || o.APIVersion != "v1" || o.UID != "u" || o.Name != "p" {
			t.Errorf("about %v", o)
		}
	})
}

// Names sort as events first happened, also within one second and one instant.
func TestNamesSortByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		r, stop := recorder(t, c)
		want := []string{"Scheduled", "Pulling", "Pulled", "Created", "Started", "BackOff"}
		for i, reason := range want {
			r.Event(pod, corev1.EventTypeNormal, reason, "it")
			if i%2 == 0 {
				time.Sleep(time.Millisecond)
			}
			r.Event(pod, corev1.EventTypeNormal, want[0], "it")
		}
		stop()
		all := list(t, c)
		slices.SortFunc(all, func(a, b *corev1.Event) int { return strings.Compare(a.Name, b.Name) })
		var got []string
		for _, e := range all {
			got = append(got, e.Reason)
		}
		if !slices.Equal(got, want) {
			t.Errorf("by name: %q, want %q", got, want)
		}
	})
}

// Two recorders may tell of an object in the same instant.
func TestTakenNameIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		for range 3 {
			r, stop := recorder(t, c)
			r.Event(pod, corev1.EventTypeNormal, "Pulled", "one")
			r.Event(pod, corev1.EventTypeNormal, "Created", "one")
			stop()
		}
		if all := list(t, c); len(all) != 6 {
			t.Errorf("%d events, want 6: %v", len(all), all)
		}
	})
}

func TestDifferentEventsStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		r, stop := recorder(t, c)
		r.Event(pod, corev1.EventTypeNormal, "Pulled", "one")
		r.Event(pod, corev1.EventTypeNormal, "Pulled", "two")
		r.Event(node, corev1.EventTypeNormal, "Starting", "up")
		again := pod.DeepCopy()
		again.UID = "another"
		r.Event(again, corev1.EventTypeNormal, "Pulled", "one")
		stop()
		all := list(t, c)
		if len(all) != 4 {
			t.Fatalf("%d events, want 4", len(all))
		}
		for _, e := range all {
			if e.Count != 1 || (e.InvolvedObject.Kind == "Node") != (e.Namespace == "default") {
				t.Errorf("event %s/%s of %s, count %d", e.Namespace, e.Name, e.InvolvedObject.Kind, e.Count)
			}
		}
	})
}

func TestDeletedEventIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		r, stop := recorder(t, c)
		defer stop()
		for range 2 {
			r.Event(pod, corev1.EventTypeNormal, "Pulled", "one")
			time.Sleep(time.Second)
			all := list(t, c)
			if len(all) != 1 || all[0].Count != 1 {
				t.Fatalf("events %v", all)
			}
			if err := sdk.Delete[*corev1.Event](t.Context(), c, "web", all[0].Name, sdk.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		c := cluster.Client(t)
		cluster.Stop("s1")
		r, stop := recorder(t, c)
		begun := time.Now()
		for range 5000 {
			r.Event(pod, corev1.EventTypeNormal, "Pulled", "one")
		}
		if time.Since(begun) > 0 || r.Dropped() == 0 {
			t.Errorf("took %s, dropped %d", time.Since(begun), r.Dropped())
		}
		stop()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}

func TestLongMessagesEndWithACharacter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		r, stop := recorder(t, c)
		r.Event(pod, corev1.EventTypeNormal, "Long", "%s", "x"+strings.Repeat("ä", 1000))
		stop()
		events := list(t, c)
		if len(events) != 1 || events[0].Message != "x"+strings.Repeat("ä", 511) {
			t.Errorf("stored %d events: %v", len(events), events)
		}
	})
}
