package expiry_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/expiry"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

var (
	admin = objectstest.As(pki.AdminIdentity())
	event = corev1.SchemeGroupVersion.WithKind("Event")
)

// replica is a member that leads when it is told to, and counts what it is asked.
type replica struct {
	*objectstest.Replica
	leads    atomic.Bool
	commands atomic.Int64
	skew     atomic.Int64 // of its clock
}

func (r *replica) IsLeader() bool { return r.leads.Load() }

func (r *replica) Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	r.commands.Add(1)
	return r.Replica.Apply(ctx, tx)
}

// begin runs a Sweeper, which stops with the test.
func begin(t *testing.T) (*objects.Service, *replica) {
	t.Helper()
	service, memory := objectstest.New(t)
	r := &replica{Replica: memory}
	r.leads.Store(true)
	sweeper, err := expiry.New(expiry.Config{
		Replica: r, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sweeper.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return service, r
}

func target(t *testing.T, s *objects.Service, gvk schema.GroupVersionKind, name string) objects.Target {
	t.Helper()
	k, ok := s.Kinds().ByKind(gvk)
	if !ok {
		t.Fatalf("kind %s is not served", gvk)
	}
	return objects.Target{Kind: k, Namespace: "default", Name: name}
}

func newEvent(name string) *corev1.Event {
	return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		InvolvedObject: corev1.ObjectReference{Namespace: "default"}}
}

func create(t *testing.T, s *objects.Service, name string) {
	t.Helper()
	if _, err := s.Create(admin, target(t, s, event, ""), newEvent(name), false); err != nil {
		t.Fatal(err)
	}
}

func count(r *replica) int { return r.Store().View().Count("events", "default") }

// An event goes an hour after it was last written, and who watches sees it go.
func TestEventsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(t)
		create(t, s, "once")
		create(t, s, "again")
		w, err := s.Watch(admin, target(t, s, event, ""), objects.WatchOptions{FieldSelector: "metadata.name=once"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		seen := newEvent("again")
		seen.Count = 2
		if _, err := s.Update(admin, target(t, s, event, "again"), seen, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*time.Minute - time.Second)
		if n := count(r); n != 2 || r.commands.Load() != 0 {
			t.Fatalf("%d events after less than an hour, %d commands", n, r.commands.Load())
		}
		time.Sleep(15 * time.Second)
		if n := count(r); n != 1 || r.commands.Load() != 1 {
			t.Fatalf("%d events after more than an hour, %d commands", n, r.commands.Load())
		}
		for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
			if got, err := w.Next(t.Context()); err != nil || len(got) != 1 || got[0].Type != want {
				t.Fatalf("the watch says %v, %v; want one %s", got, err, want)
			}
		}
		time.Sleep(30 * time.Minute)
		if n := count(r); n != 0 || r.commands.Load() != 2 {
			t.Fatalf("%d events an hour after the last write, %d commands", n, r.commands.Load())
		}
	})
}

// A backlog is removed at once, but no more at a time than others can bear.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(t)
		for i := range 2500 {
			create(t, s, fmt.Sprint("e", i))
		}
		time.Sleep(time.Hour + 15*time.Second)
		if n := count(r); n != 0 || r.commands.Load() != 3 {
			t.Errorf("%d events are left after %d commands, want 0 after 3", n, r.commands.Load())
		}
	})
}

// A clock that moves makes events go earlier or later by that, and no more.
func TestClockMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(t)
		create(t, s, "a")
		time.Sleep(20 * time.Minute)
		create(t, s, "b")
		r.skew.Store(int64(39 * time.Minute))
		time.Sleep(time.Minute - time.Second)
		if n := count(r); n != 2 {
			t.Fatalf("%d events are left, 39 minutes early and less than 21 after they came", n)
		}
		time.Sleep(15 * time.Second)
		if n := count(r); n != 1 {
			t.Fatalf("%d events are left, 39 minutes early and 21 after the first came", n)
		}
		r.skew.Store(int64(-100 * 365 * 24 * time.Hour))
		time.Sleep(2 * time.Hour)
		if n := count(r); n != 1 {
			t.Fatalf("%d events are left by a clock of long ago", n)
		}
		r.skew.Store(int64(-time.Minute))
		time.Sleep(15 * time.Second)
		if n := count(r); n != 0 {
			t.Fatalf("%d events are left an hour after the last was due", n)
		}
	})
}

// Only the leader removes; whoever becomes it catches up.
func TestOnlyTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(t)
		r.leads.Store(false)
		create(t, s, "e")
		time.Sleep(2 * time.Hour)
		if n := count(r); n != 1 {
			t.Fatal("a follower removed the event")
		}
		r.leads.Store(true)
		time.Sleep(15 * time.Second)
		if n := count(r); n != 0 {
			t.Fatal("the new leader left the event")
		}
	})
}
