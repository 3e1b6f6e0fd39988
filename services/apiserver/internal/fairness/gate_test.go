package fairness_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caller asks for a seat and holds it, again and again, until ctx ends; it returns
// how long each time took until the seat was given back.
func caller(ctx context.Context, t *testing.T, g *fairness.Gate, name string, width int, holds time.Duration) []time.Duration {
	var took []time.Duration
	for ctx.Err() == nil {
		asked := time.Now()
		seat, err := g.Enter(ctx, fairness.People, name, width)
		if err != nil {
			if ctx.Err() == nil && name != "greedy" {
				t.Errorf("%s: %v", name, err)
			}
			time.Sleep(time.Second)
			continue
		}
		time.Sleep(holds)
		seat.Release()
		took = append(took, time.Since(asked))
	}
	return took
}

// One caller with 1,000 requests at a time, and ten with one each.
func TestOneCallerDoesNotStarveTheOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		seats, width int
		holds        time.Duration // of the greedy one; the modest ones take 1 ms
		worst        time.Duration // of a modest one
	}{
		"short requests": {seats: 20, width: 1, holds: time.Millisecond, worst: 4 * time.Millisecond},
		"long requests":  {seats: 20, width: 1, holds: 100 * time.Millisecond, worst: 202 * time.Millisecond},
		"wide requests":  {seats: 20, width: 5, holds: 100 * time.Millisecond, worst: 202 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := fairness.New(fairness.Limits{Seats: tt.seats, Queue: 512, Wait: 15 * time.Second})
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				var all sync.WaitGroup
				for range 1000 {
					all.Go(func() { caller(ctx, t, g, "greedy", tt.width, tt.holds) })
				}
				time.Sleep(time.Second)
				modest := make([][]time.Duration, 10)
				for i := range modest {
					all.Go(func() { modest[i] = caller(ctx, t, g, fmt.Sprint("modest-", i), 1, time.Millisecond) })
				}
				<-ctx.Done()
				all.Wait()
				for i, took := range modest {
					if len(took) < 13 || slices.Max(took) > tt.worst {
						t.Errorf("caller %d: %d requests, the slowest took %v", i, len(took), slices.Max(took))
					}
				}
				if c := g.Counts(fairness.People); c.Taken != 0 || c.Waiting != 0 || c.Refused == 0 || c.Queued == 0 {
					t.Errorf("counts at the end: %+v", c)
				}
			})
		})
	}
}

// Who asks for much more gets as much, not more: two callers, of whom one has ten
// times as many requests, are served alike.
func TestEqualShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fairness.New(fairness.Limits{Seats: 8, Queue: 512, Wait: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		var all sync.WaitGroup
		var mu sync.Mutex
		served := map[string]time.Duration{}
		run := func(name string, callers int, holds time.Duration) {
			for range callers {
				all.Go(func() {
					n := len(caller(ctx, t, g, name, 1, holds))
					mu.Lock()
					defer mu.Unlock()
					served[name] += time.Duration(n) * holds
				})
			}
		}
		run("many-short", 200, time.Millisecond)
		run("some-long", 20, 10*time.Millisecond)
		all.Wait()
		if a, b := served["many-short"], served["some-long"]; a > b*5/4 || b > a*5/4 {
			t.Errorf("seats were held for %v and %v", a, b)
		}
	})
}

// Classes do not share seats.
func TestClassesAreApart(t *testing.T) {
	g := fairness.New(fairness.Limits{Seats: 1, Queue: 0, Wait: time.Second})
	for _, c := range fairness.Classes() {
		if _, ok := g.TryEnter(c, "x", 1); !ok {
			t.Errorf("%v: no seat", c)
		}
		if _, err := g.Enter(t.Context(), c, "x", 1); !errors.Is(err, fairness.ErrBusy) {
			t.Errorf("%v: a second seat: %v", c, err)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fairness.New(fairness.Limits{Seats: 1, Queue: 2, Wait: time.Minute})
		held, _ := g.TryEnter(fairness.People, "a", 1)
		enter := func(ctx context.Context, name string) chan error {
			out := make(chan error, 1)
			go func() {
				seat, err := g.Enter(ctx, fairness.People, name, 1)
				seat.Release()
				out <- err
			}()
			synctest.Wait()
			return out
		}
		first, second := enter(t.Context(), "a"), enter(t.Context(), "a")
		if err := <-enter(t.Context(), "a"); !errors.Is(err, fairness.ErrBusy) {
			t.Errorf("a third of the same caller: %v", err)
		}
		other := enter(t.Context(), "b")
		if err := <-second; !errors.Is(err, fairness.ErrBusy) {
			t.Errorf("the longest queue did not give way: %v", err)
		}
		asked := time.Now()
		if err := <-first; !errors.Is(err, fairness.ErrBusy) || time.Since(asked) != time.Minute {
			t.Errorf("after %v: %v", time.Since(asked), err)
		}
		if err := <-other; !errors.Is(err, fairness.ErrBusy) {
			t.Error(err)
		}
		left, leave := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		third := enter(left, "c")
		leave(gone)
		if err := <-third; !errors.Is(err, gone) {
			t.Error(err)
		}
		fourth := enter(t.Context(), "c")
		held.Release()
		held.Release() // does nothing
		if err := <-fourth; err != nil {
			t.Error(err)
		}
		if c := g.Counts(fairness.People); c.Taken != 0 || c.Waiting != 0 {
			t.Errorf("at the end: %+v", c)
		}
	})
}

// A wide request is not passed for ever by narrow ones, and never needs more than
// there is.
func TestWideRequestsGetTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := fairness.New(fairness.Limits{Seats: 8, Queue: 100, Wait: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() { caller(ctx, t, g, fmt.Sprint("narrow-", i), 1, time.Millisecond) })
		}
		var wide []time.Duration
		all.Go(func() { wide = caller(ctx, t, g, "wide", 1e6, time.Millisecond) })
		all.Wait()
		if len(wide) < 20 || slices.Max(wide) > 50*time.Millisecond {
			t.Errorf("%d requests, the slowest took %v", len(wide), slices.Max(wide))
		}
	})
}

// Seats are never lost nor given twice, whatever happens at the same time.
func TestSeatsAreConserved(t *testing.T) {
	const seats = 4
	g := fairness.New(fairness.Limits{Seats: seats, Queue: 16, Wait: time.Millisecond})
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for n := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*100*time.Microsecond)
				seat, err := g.Enter(ctx, fairness.Nodes, fmt.Sprint(i%5), 1+n%3)
				if taken := g.Counts(fairness.Nodes).Taken; taken > seats || taken < 0 {
					t.Errorf("%d seats are taken", taken)
				}
				if err == nil {
					seat.Release()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if c := g.Counts(fairness.Nodes); c.Taken != 0 || c.Waiting != 0 {
		t.Errorf("at the end: %+v", c)
	}
}

func TestClassOf(t *testing.T) {
	node := pki.NodeIdentity("n1")
	server := pki.ServerIdentity("s1")
	for _, tt := range []struct {
		user access.User
		want fairness.Class
	}{
		{access.User{Name: server.User, Groups: server.Groups}, fairness.Control},
		{access.User{Name: pki.UserScheduler}, fairness.Control},
		{access.User{Name: node.User, Groups: node.Groups}, fairness.Nodes},
		{access.User{Name: "system:serviceaccount:default:x"}, fairness.Workload},
		{access.User{Name: "root", Groups: []string{pki.GroupAdmins}}, fairness.People},
		{access.User{Name: "eve"}, fairness.People},
		{access.User{Name: access.Anonymous}, fairness.Others},
		{access.User{}, fairness.Others},
	} {
		if got := fairness.ClassOf(tt.user); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.user, got, tt.want)
		}
	}
}

func BenchmarkEnter(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			g := fairness.New(fairness.Limits{Seats: 128, Queue: 100, Wait: time.Second})
			b.ReportAllocs()
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					seat, err := g.Enter(b.Context(), fairness.People, "someone", 1)
					if err != nil {
						b.Error(err)
					}
					seat.Release()
				}
			})
		})
	}
}
