package state_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// most is how many watch at once, as on a cluster of so many nodes.
const most = 5000

// audience is watchers that each wait for the pods of one node, of one
// application in one namespace, and so on, in turn; got counts what they get.
type audience struct {
	got  chan int // how many events came to one of them
	stop func()
}

// gather begins to watch; topics says what each waits for.
func gather(t testing.TB, s *state.Store, watchers int, topic func(i int) (namespace, index string)) *audience {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &audience{got: make(chan int, 64)}
	var running sync.WaitGroup
	for i := range watchers {
		namespace, index := topic(i)
		w, err := s.Watch("pods", namespace, index, s.View().Revision())
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			for {
				events, err := w.Next(ctx)
				if err != nil {
					return
				}
				a.got <- len(events)
			}
		})
	}
	a.stop = func() { cancel(); running.Wait() }
	t.Cleanup(a.stop)
	return a
}

func onNode(i int) (namespace, index string) { return "", fmt.Sprint("spec.nodeName=n", i) }
func ofApp(i int) (namespace, index string) {
	return fmt.Sprint("ns", i/2), fmt.Sprint("metadata.labels/app=web", i%2)
}

// putPod changes the pod that watcher i waits for.
func putPod(s *state.Store, i int) {
	_, node := onNode(i)
	namespace, app := ofApp(i)
	do(s, put(key("pods", namespace, fmt.Sprint("p", i)), "a pod", node, app))
}

// write changes a pod that watcher i waits for, and waits until it is told.
func (a *audience) write(t testing.TB, s *state.Store, i int) {
	putPod(s, i)
	if n := <-a.got; n != 1 {
		t.Fatalf("%d events came of one change", n)
	}
}

// What an event costs, until the one who waits for it has it, does not depend on
// how many wait for others.
func BenchmarkWatchers(b *testing.B) {
	for name, topic := range map[string]func(int) (string, string){"node": onNode, "label": ofApp} {
		for _, watchers := range []int{1, 100, most} {
			b.Run(fmt.Sprintf("by=%s/watchers=%d", name, watchers), func(b *testing.B) {
				s := state.New()
				for i := range most {
					putPod(s, i)
				}
				a := gather(b, s, watchers, topic)
				defer a.stop()
				b.ReportAllocs()
				for b.Loop() {
					a.write(b, s, 0)
				}
			})
		}
	}
}

// What it costs to tell everybody, as all nodes of the Services: per watcher.
func BenchmarkFanOut(b *testing.B) {
	for _, watchers := range []int{1, 100, most} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			s := state.New()
			putPod(s, 0)
			a := gather(b, s, watchers, func(int) (string, string) { return "", "" })
			defer a.stop()
			for b.Loop() {
				putPod(s, 0)
				for told := 0; told < watchers; {
					told += <-a.got
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*watchers), "ns/event")
		})
	}
}

// Nobody is woken for what it does not watch: the memory that an event takes,
// with all that those who are woken do, is that of a single watcher.
func TestWatchersCostWhatTheyGet(t *testing.T) {
	for name, topic := range map[string]func(int) (string, string){"node": onNode, "label": ofApp} {
		one, many := allocations(t, 1, topic), allocations(t, most, topic)
		if many > one+2 {
			t.Errorf("by %s: %.0f allocations with one watcher, %.0f with 5,000", name, one, many)
		}
	}
}

// allocations counts those that one change costs while watchers wait.
func allocations(t *testing.T, watchers int, topic func(int) (string, string)) (count float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := state.New()
		a := gather(t, s, watchers, topic)
		a.write(t, s, 0)
		synctest.Wait() // All of them wait.
		count = testing.AllocsPerRun(200, func() { a.write(t, s, 0) })
		a.stop()
	})
	return count
}
