package election_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/election"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// candidate takes part in an election through a server of its own.
type candidate struct {
	leading atomic.Bool
	terms   atomic.Int32 // calls of lead
	stop    context.CancelFunc
	done    chan error
}

func stand(t *testing.T, cluster *sdktest.Cluster, identity, server string, inside *atomic.Int32) *candidate {
	t.Helper()
	client := cluster.Client(t, func(cfg *sdk.Config) { cfg.Servers = []string{server} })
	ctx, cancel := context.WithCancel(t.Context())
	c := &candidate{stop: cancel, done: make(chan error, 1)}
	go func() {
		c.done <- election.Run(ctx, election.Config{Client: client, Name: "l", Identity: identity, Leading: &c.leading},
			func(ctx context.Context) error {
				c.terms.Add(1)
				if inside.Add(1) != 1 {
					t.Error("two lead at once")
				}
				defer inside.Add(-1)
				<-ctx.Done()
				// Work that takes a moment to stop.
				time.Sleep(time.Second)
				return nil
			})
	}()
	t.Cleanup(func() { cancel(); <-c.done; c.done <- nil })
	time.Sleep(time.Second)
	return c
}

func lease(t *testing.T, c *sdk.Client) coordinationv1.LeaseSpec {
	t.Helper()
	l, err := sdk.Get[*coordinationv1.Lease](t.Context(), c, "kube-system", "l")
	if err != nil {
		t.Fatal(err)
	}
	return l.Spec
}

func TestReleaseHandsOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, inside := sdktest.New(t), &atomic.Int32{}
		a := stand(t, cluster, "a", "s1", inside)
		b := stand(t, cluster, "b", "s1", inside)
		time.Sleep(time.Minute)
		if !a.leading.Load() || b.leading.Load() || a.terms.Load() != 1 {
			t.Fatalf("after a minute: a %v (%d terms), b %v", a.leading.Load(), a.terms.Load(), b.leading.Load())
		}
		a.stop()
		time.Sleep(time.Second + 700*time.Millisecond) // a's work ends after a second
		if !b.leading.Load() {
			t.Error("b does not lead although a released the lease")
		}
		if got := lease(t, cluster.Client(t)); *got.HolderIdentity != "b" || *got.LeaseTransitions != 1 {
			t.Errorf("lease held by %q after %d transitions", *got.HolderIdentity, *got.LeaseTransitions)
		}
	})
}

// TestReleaseAfterRenewalCutShort stops a leader in the middle of a renewal that
// the server carries out: the lease is newer than the leader knows.
func TestReleaseAfterRenewalCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, inside := sdktest.New(t), &atomic.Int32{}
		a := stand(t, cluster, "a", "s1", inside)
		other := cluster.Client(t)
		var cut atomic.Bool
		cluster.Fail(func(method string, _ any) error {
			if !strings.HasSuffix(method, "/Update") || !cut.CompareAndSwap(false, true) {
				return nil
			}
			l, err := sdk.Get[*coordinationv1.Lease](t.Context(), other, "kube-system", "l")
			if err == nil {
				l.Spec.RenewTime.Time = time.Now()
				_, err = sdk.Update(t.Context(), other, l)
			}
			if err != nil {
				t.Error(err)
			}
			a.stop()
			return status.Error(codes.Unavailable, "gone")
		})
		time.Sleep(2 * time.Second) // the next renewal, and a's work that takes a second to end
		if got := lease(t, other); !cut.Load() || *got.HolderIdentity != "" {
			t.Errorf("lease is still held by %q; renewal cut short: %v", *got.HolderIdentity, cut.Load())
		}
	})
}

// TestCutOffLeaderStopsBeforeItsSuccessorBegins is the property that matters:
// stand fails the test if two lead at once.
func TestCutOffLeaderStopsBeforeItsSuccessorBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, inside := sdktest.New(t, "s1", "s2"), &atomic.Int32{}
		a := stand(t, cluster, "a", "s1", inside)
		b := stand(t, cluster, "b", "s2", inside)
		cut := time.Now()
		cluster.Freeze("s1")
		for !b.leading.Load() {
			time.Sleep(10 * time.Millisecond)
			if time.Since(cut) > 7*time.Second {
				t.Fatal("b does not lead 7 s after a was cut off")
			}
		}
		if took := time.Since(cut); took < 3*time.Second {
			t.Errorf("b took the lease after %s, before it could have expired", took)
		}
		if a.leading.Load() {
			t.Error("a still leads")
		}
		cluster.Stop("s1")
		cluster.Start("s1")
		time.Sleep(time.Minute)
		if a.leading.Load() || !b.leading.Load() || b.terms.Load() != 1 {
			t.Error("a disturbed b when it came back")
		}
	})
}

func TestShortOutageIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, inside := sdktest.New(t), &atomic.Int32{}
		a := stand(t, cluster, "a", "s1", inside)
		for range 3 {
			cluster.Stop("s1")
			time.Sleep(1500 * time.Millisecond)
			cluster.Start("s1")
			time.Sleep(5 * time.Second)
		}
		if !a.leading.Load() || a.terms.Load() != 1 {
			t.Errorf("leading %v in term %d after outages of 1.5 s", a.leading.Load(), a.terms.Load())
		}
	})
}

func TestLeadEndingEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		c, broken := cluster.Client(t), errors.New("broken")
		err := election.Run(t.Context(), election.Config{Client: c, Name: "l", Identity: "a"},
			func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		if got := lease(t, c); *got.HolderIdentity != "" {
			t.Errorf("lease still held by %q", *got.HolderIdentity)
		}
	})
}

func TestTimingIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		for _, cfg := range []election.Config{
			{Client: c, Name: "l"},
			{Client: c, Name: "l", Identity: "a", LeaseDuration: time.Second, RenewDeadline: time.Second},
			{Client: c, Name: "l", Identity: "a", RenewDeadline: time.Second, RetryPeriod: time.Second},
		} {
			if err := election.Run(t.Context(), cfg, func(context.Context) error { return nil }); err == nil {
				t.Errorf("%+v was accepted", cfg)
			}
		}
	})
}
