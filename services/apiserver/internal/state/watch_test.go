package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func watch(t interface{ Fatal(...any) }, s *state.Store, resource, namespace, index string, after uint64) *state.Watcher {
	w, err := s.Watch(resource, namespace, index, after)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// describe tells what an event is about, shortly.
func describe(e state.Event) string {
	switch {
	case e.Entry == nil:
		return fmt.Sprintf("%d -%s", e.Revision, e.Prev.Key.Name)
	case e.Prev == nil:
		return fmt.Sprintf("%d +%s", e.Revision, e.Entry.Key.Name)
	}
	return fmt.Sprintf("%d ~%s", e.Revision, e.Entry.Key.Name)
}

func next(t *testing.T, w *state.Watcher) []string {
	events, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		all = append(all, describe(e))
	}
	return all
}

func TestWatchSelects(t *testing.T) {
	s := state.New()
	do(s, put(key("pods", "a", "1"), "v"))                       // 1
	do(s, put(key("pods", "b", "2"), "v", "node=n1"))            // 2
	do(s, put(key("nodes", "", "n1"), "v"))                      // 3
	do(s, put(key("pods", "a", "1"), "v", "node=n1", "node=n1")) // 4
	do(s, put(key("pods", "b", "2"), "v", "node=n2"))            // 5
	do(s, remove(key("pods", "a", "1")))                         // 6
	for _, c := range []struct {
		resource, namespace, index string
		after                      uint64
		want                       []string
	}{
		{"pods", "", "", 0, []string{"1 +1", "2 +2", "4 ~1", "5 ~2", "6 -1"}},
		{"pods", "", "", 4, []string{"5 ~2", "6 -1"}},
		{"pods", "a", "", 0, []string{"1 +1", "4 ~1", "6 -1"}},
		{"nodes", "", "", 0, []string{"3 +n1"}},
		{"pods", "", "node=n1", 0, []string{"2 +2", "4 ~1", "5 ~2", "6 -1"}},
		{"pods", "a", "node=n1", 0, []string{"4 ~1", "6 -1"}},
		{"pods", "", "node=n2", 0, []string{"5 ~2"}},
	} {
		w := watch(t, s, c.resource, c.namespace, c.index, c.after)
		if got := next(t, w); !slices.Equal(got, c.want) {
			t.Errorf("watch %s %q %q after %d: %v, want %v", c.resource, c.namespace, c.index, c.after, got, c.want)
		}
		if w.Progress() != 6 {
			t.Errorf("progress %d after all was delivered", w.Progress())
		}
	}
}

func TestWatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.New()
		w := watch(t, s, "pods", "", "node=n1", 0)
		got := make(chan []string)
		go func() { got <- next(t, w) }()
		synctest.Wait()
		do(s, put(key("pods", "a", "1"), "v", "node=n2"))
		synctest.Wait()
		select {
		case events := <-got:
			t.Fatalf("woken by another node's pod: %v", events)
		default:
		}
		do(s, put(key("pods", "a", "2"), "v", "node=n1"))
		if events := <-got; !slices.Equal(events, []string{"2 +2"}) {
			t.Fatalf("events %v", events)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.New()
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go func() {
			_, err := watch(t, s, "pods", "", "", 0).Next(ctx)
			ended <- err
		}()
		synctest.Wait()
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) {
			t.Fatalf("ended with %v", err)
		}
	})
}

func TestWatchTooOld(t *testing.T) {
	s := state.NewWithLimits(state.Limits{Events: 3, Bytes: 1 << 20})
	slow := watch(t, s, "pods", "", "", 0)
	quiet := watch(t, s, "nodes", "", "", 0)
	for n := range 10 {
		do(s, put(key("pods", "a", fmt.Sprint(n)), "v"))
	}
	if _, err := slow.Next(t.Context()); !errors.Is(err, state.ErrTooOld) {
		t.Fatalf("a watcher that fell out of the window got %v", err)
	}
	if slow.Progress() != 0 {
		t.Fatalf("progress %d without a delivery", slow.Progress())
	}
	if _, err := s.Watch("pods", "", "", 6); !errors.Is(err, state.ErrTooOld) {
		t.Fatalf("watch from a forgotten revision: %v", err)
	}
	if got := next(t, watch(t, s, "pods", "", "", 7)); !slices.Equal(got, []string{"8 +7", "9 +8", "10 +9"}) {
		t.Fatalf("watch from the window's edge: %v", got)
	}
	if _, err := quiet.Next(t.Context()); !errors.Is(err, state.ErrTooOld) {
		t.Fatalf("a watcher that never waited cannot know what it missed, but got %v", err)
	}
}

func TestWaitingOnAQuietTopicNeverGrowsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewWithLimits(state.Limits{Events: 3, Bytes: 1 << 20})
		w := watch(t, s, "nodes", "", "", 0)
		got := make(chan []string)
		go func() { got <- next(t, w) }()
		synctest.Wait()
		for n := range 10 {
			do(s, put(key("pods", "a", fmt.Sprint(n)), "v"))
		}
		do(s, put(key("nodes", "", "n1"), "v"))
		if events := <-got; !slices.Equal(events, []string{"11 +n1"}) {
			t.Fatalf("events %v", events)
		}
	})
}

func TestWindowIsBoundedByWeight(t *testing.T) {
	s := state.NewWithLimits(state.Limits{Events: 1000, Bytes: 10_000})
	for n := range 20 {
		do(s, put(key("pods", "a", fmt.Sprint(n)), string(make([]byte, 1000))))
	}
	if _, err := s.Watch("pods", "", "", 5); !errors.Is(err, state.ErrTooOld) {
		t.Fatalf("heavy events were kept: %v", err)
	}
	watch(t, s, "pods", "", "", 15)
}

func TestRestoreEndsWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.New()
		do(s, put(key("pods", "a", "1"), "v"))
		ahead := state.New()
		for n := range 5 {
			do(ahead, put(key("pods", "a", fmt.Sprint(n)), "v"))
		}
		w := watch(t, s, "pods", "", "", 1)
		ended := make(chan error)
		go func() {
			_, err := w.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		copyState(t, s, ahead)
		if err := <-ended; !errors.Is(err, state.ErrTooOld) {
			t.Fatalf("watcher across a restore got %v", err)
		}
		do(s, put(key("pods", "a", "9"), "v"))
		if got := next(t, watch(t, s, "pods", "", "", 5)); !slices.Equal(got, []string{"6 +9"}) {
			t.Fatalf("watch after a restore: %v", got)
		}
	})
}

// TestWatchersSeeEveryChangeOnce runs watchers of all sorts against a writer, and
// replays what each saw.
func TestWatchersSeeEveryChangeOnce(t *testing.T) {
	const changes = 3000
	s := state.New()
	selectors := [][3]string{{"pods", "", ""}, {"pods", "a", ""}, {"pods", "", "n=1"}, {"pods", "b", "n=0"}, {"nodes", "", ""}}
	seen := make([][]state.Event, len(selectors))
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	for i, c := range selectors {
		w := watch(t, s, c[0], c[1], c[2], 0)
		watching.Go(func() {
			for w.Progress() < changes {
				events, err := w.Next(ctx)
				if err != nil {
					return
				}
				seen[i] = append(seen[i], events...)
			}
		})
	}
	var want []state.Event
	for n := range changes {
		resource, namespace := "pods", string(rune('a'+n%3))
		if n%7 == 0 {
			resource, namespace = "nodes", ""
		}
		k := key(resource, namespace, fmt.Sprint(n%50))
		prev, _ := s.View().Get(state.Key{Resource: resource, Namespace: namespace, Name: k.Name})
		if prev != nil && n%5 == 0 {
			do(s, remove(k))
		} else {
			do(s, put(k, fmt.Sprint(n), fmt.Sprintf("n=%d", n%2)))
		}
		now, _ := s.View().Get(state.Key{Resource: resource, Namespace: namespace, Name: k.Name})
		want = append(want, state.Event{Revision: s.View().Revision(), Entry: now, Prev: prev})
	}
	// Watchers whose last event is not the last change wait on: let them go.
	do(s, put(key("pods", "a", "last"), "v", "n=1"), put(key("pods", "b", "last"), "v", "n=0"), put(key("nodes", "", "last"), "v"))
	watching.Wait()
	cancel()
	for i, c := range selectors {
		var expect, got []string
		for _, e := range want {
			if selects(c, e) {
				expect = append(expect, describe(e))
			}
		}
		for _, e := range seen[i] {
			if e.Revision <= changes {
				got = append(got, describe(e))
			}
		}
		if !slices.Equal(got, expect) {
			t.Errorf("watch %v: %d events, want %d", c, len(got), len(expect))
		}
	}
}

func selects(c [3]string, e state.Event) bool {
	for _, entry := range []*state.Entry{e.Entry, e.Prev} {
		if entry != nil && entry.Key.Resource == c[0] &&
			(c[1] == "" || entry.Key.Namespace == c[1]) &&
			(c[2] == "" || slices.Contains(entry.Index(), c[2])) {
			return true
		}
	}
	return false
}

// TestProgressNeverClaimsTooMuch interleaves writes, deliveries and questions
// for progress at random.
func TestProgressNeverClaimsTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state.NewWithLimits(state.Limits{Events: 20, Bytes: 1 << 20})
		c := [3]string{"pods", rapid.SampledFrom([]string{"", "a"}).Draw(t, "namespace"), rapid.SampledFrom([]string{"", "n=1"}).Draw(t, "index")}
		w := watch(t, s, c[0], c[1], c[2], 0)
		pending := []uint64{} // matching revisions that were not delivered
		done, cancel := context.WithCancel(context.Background())
		cancel()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				k := key(rapid.SampledFrom([]string{"pods", "nodes"}).Draw(t, "resource"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "ns"), "x")
				at := state.Key{Resource: k.Resource, Namespace: k.Namespace, Name: k.Name}
				prev, _ := s.View().Get(at)
				do(s, put(k, "v", rapid.SampledFrom([]string{"n=1", "n=2"}).Draw(t, "value")))
				now, _ := s.View().Get(at)
				if e := (state.Event{Revision: now.ModRevision, Entry: now, Prev: prev}); selects(c, e) {
					pending = append(pending, e.Revision)
				}
			case 2:
				events, err := w.Next(done)
				if errors.Is(err, state.ErrTooOld) {
					return
				}
				for _, e := range events {
					if len(pending) == 0 || pending[0] != e.Revision {
						t.Fatalf("event %d, want %v", e.Revision, pending)
					}
					pending = pending[1:]
				}
			case 3:
				if p := w.Progress(); len(pending) > 0 && p >= pending[0] {
					t.Fatalf("progress %d, but %d was not delivered", p, pending[0])
				}
			}
		}
	})
}

func copyState(t *testing.T, to, from *state.Store) {
	t.Helper()
	var b bytes.Buffer
	if err := from.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(&b); err != nil {
		t.Fatal(err)
	}
}
