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
	"time"

	"pgregory.net/rapid"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Every revision can be read, also one that was never the last of a command: as
// if each change had been a command of its own.
func TestViewAtAnyRevision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grouped, single := state.New(), state.New()
		then := map[uint64]state.View{}
		for i := range rapid.IntRange(1, 8).Draw(t, "commands") {
			var txs []*storev1.Transaction
			for range rapid.IntRange(1, 5).Draw(t, "transactions") {
				tx := drawExpiry(t)
				if tx.Expire != nil {
					tx.Expire.Limit = min(tx.Expire.Limit, 1)
				}
				txs = append(txs, tx)
				single.Apply(single.View().Index()+1, command(tx))
				then[single.View().Revision()] = single.View()
			}
			grouped.Apply(uint64(i+1), command(txs...))
		}
		if grouped.View().Revision() != single.View().Revision() {
			t.Fatalf("revisions %d and %d", grouped.View().Revision(), single.View().Revision())
		}
		for revision := uint64(1); revision <= single.View().Revision(); revision++ {
			got, err := grouped.ViewAt(revision)
			if err != nil {
				t.Fatalf("view at %d: %v", revision, err)
			}
			sameViews(t, got, then[revision])
		}
	})
}

func sameViews(t *rapid.T, got, want state.View) {
	same := func(a, b *state.Entry) bool {
		return a.Key.Plain() == b.Key.Plain() && a.ModRevision == b.ModRevision && a.CreateRevision == b.CreateRevision
	}
	if got.Revision() != want.Revision() || !slices.EqualFunc(slices.Collect(got.All()), slices.Collect(want.All()), same) {
		t.Fatalf("at %d: %v, want %v", want.Revision(), slices.Collect(got.All()), slices.Collect(want.All()))
	}
	for _, namespace := range []string{"", "a"} {
		if g, w := got.Count("events", namespace), want.Count("events", namespace); g != w {
			t.Fatalf("at %d: %d events in %q, want %d", want.Revision(), g, namespace, w)
		}
	}
	gotAt, gotAny := got.NextExpiry()
	if wantAt, wantAny := want.NextExpiry(); gotAt != wantAt || gotAny != wantAny {
		t.Fatalf("at %d: next expiry %d, want %d", want.Revision(), gotAt, wantAt)
	}
}

// A revision is too old once an event since is forgotten, whether or not it was
// the last of a command.
func TestViewAtForgottenEvents(t *testing.T) {
	s := state.NewWithLimits(state.Limits{Events: 2, Bytes: 1 << 20})
	for range 3 {
		s.Apply(s.View().Index()+1, command(transaction(put(key("pods", "a", "1"), "v")), transaction(put(key("pods", "a", "2"), "v"))))
	}
	for revision, want := range map[uint64]error{2: state.ErrTooOld, 3: state.ErrTooOld, 4: nil, 5: nil, 6: nil} {
		if v, err := s.ViewAt(revision); !errors.Is(err, want) || err == nil && v.Revision() != revision {
			t.Errorf("view at %d: %d, %v; want %v", revision, v.Revision(), err, want)
		}
	}
}

// A view of the past that was made once is there again, for as long as its
// revision is remembered, and not after a restore.
func TestForget(t *testing.T) {
	s := state.New()
	for i := range uint64(10) {
		s.Apply(i+1, command(transaction(put(key("pods", "a", fmt.Sprint(i)), "v"))))
	}
	watcher, err := s.Watch("pods", "", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	s.Forget(5)
	if _, err := s.ViewAt(4); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("view at 4: %v", err)
	}
	if v, err := s.ViewAt(5); err != nil || v.Revision() != 5 {
		t.Errorf("view at 5: %v", err)
	}
	if _, err := s.Watch("pods", "", "", 4); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("watch from 4: %v", err)
	}
	s.Forget(100)
	s.Apply(11, command(transaction(put(key("pods", "a", "later"), "v"))))
	events, err := watcher.Next(t.Context())
	if err != nil || len(events) != 1 || events[0].Revision != 11 {
		t.Errorf("the watcher that waited got %v, %v", events, err)
	}
}

func TestViewAtAgain(t *testing.T) {
	s := state.NewWithLimits(state.Limits{Events: 3, Bytes: 1 << 20})
	one := func() { do(s, put(key("pods", "a", "1"), "v")) }
	for range 4 {
		one()
	}
	first, err := s.ViewAt(2)
	if err != nil {
		t.Fatal(err)
	}
	one()
	for range 5 {
		if _, err := s.ViewAt(3); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ViewAt(4); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := s.ViewAt(3); err != nil || again.Revision() != 3 {
		t.Errorf("revision %d, %v", again.Revision(), err)
	}
	if _, err := s.ViewAt(2); err != nil {
		t.Errorf("the oldest revision: %v", err)
	}
	one()
	if _, err := s.ViewAt(2); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("a forgotten revision that was made before: %v", err)
	}
	if e, _ := first.Get(state.Key{Resource: "pods", Namespace: "a", Name: "1"}); e.ModRevision != 2 {
		t.Errorf("a view that somebody holds is now of %d", e.ModRevision)
	}
	if _, err := s.ViewAt(4); err != nil {
		t.Fatal(err)
	}
	var snapshot bytes.Buffer
	if err := errors.Join(s.Snapshot(&snapshot), s.Restore(&snapshot)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ViewAt(4); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("a revision from before the restore: %v", err)
	}
}

// Views of the past are made while the state goes on and others make some too.
func TestViewAtWhileOthersDo(t *testing.T) {
	s := state.New()
	one := func(n int) { do(s, put(key("pods", "a", fmt.Sprint(n%7)), fmt.Sprint(n))) }
	for n := range 100 {
		one(n)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for revision := uint64(1); revision <= 100; revision++ {
				v, err := s.ViewAt(revision)
				if err != nil {
					t.Error(err)
					return
				}
				newest, _ := v.Get(state.Key{Resource: "pods", Namespace: "a", Name: fmt.Sprint((revision - 1) % 7)})
				if v.Count("pods", "a") != min(int(revision), 7) || newest == nil || newest.ModRevision != revision {
					t.Errorf("at %d: %d pods, the newest is %v", revision, v.Count("pods", "a"), newest)
					return
				}
			}
		})
	}
	for n := range 200 {
		one(n)
	}
	readers.Wait()
}

func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.New()
		do(s, put(key("pods", "a", "1"), "v"))
		if err := s.Reach(t.Context(), 1); err != nil {
			t.Fatalf("what is there: %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Reach(short, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("what does not come: %v", err)
		}
		reached := make(chan error, 1)
		go func() { reached <- s.Reach(t.Context(), 3) }()
		do(s, put(key("pods", "a", "2"), "v"))
		synctest.Wait()
		if len(reached) != 0 {
			t.Fatal("reached too early")
		}
		do(s, put(key("pods", "a", "3"), "v"))
		if err := <-reached; err != nil {
			t.Fatal(err)
		}
	})
}
