package clientgo_test

import (
	"context"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// What controllers are started with where nothing is said.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	// patience is how long a candidate waits at most until it looks, and looks again.
	patience = 2 * 22 * retryPeriod / 10
)

// candidates are those for one Lease, each on a host of its own.
type candidates struct {
	t *testing.T
	c *cluster

	mu      sync.Mutex
	leading map[string]bool
	changed chan struct{} // closed when somebody begins or ends to lead

	stop map[string]context.CancelFunc
	all  sync.WaitGroup
}

func (s *candidates) host(name string) string { return "10.5.0." + name }

// run lets a candidate run until it is stopped, or loses what it led. Who is to release
// the lease tries that before it tells its work to end, so only one that is not is held
// to have ended in time when it is cut off.
func (s *candidates) run(name string, releases bool) {
	s.t.Helper()
	clients := s.c.clients(s.host(name))
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: "default", Name: "work"}, Client: clients.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: releases,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				s.note(name, true)
				<-ctx.Done()
				s.note(name, false)
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop[name] = cancel
	s.all.Go(func() { elector.Run(ctx) })
}

func (s *candidates) note(name string, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading[name] = leads
	n := 0
	for _, l := range s.leading {
		if l {
			n++
		}
	}
	if n > 1 {
		s.t.Errorf("%d lead: %v", n, s.leading)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// leader waits for one that is not of the others, and says how long it took.
func (s *candidates) leader(other string) (string, time.Duration) {
	s.t.Helper()
	begun := time.Now()
	for {
		s.mu.Lock()
		changed := s.changed
		for name, leads := range s.leading {
			if leads && name != other {
				s.mu.Unlock()
				return name, time.Since(begun)
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(time.Minute):
			s.t.Fatal("nobody leads")
		}
	}
}

// TestLeaderElection has three candidates, of which one leads at any time: the next one
// at once where a leader releases the Lease, and when that has run out where it dies.
func TestLeaderElection(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		s := &candidates{t: t, c: c, leading: map[string]bool{}, changed: make(chan struct{}), stop: map[string]context.CancelFunc{}}
		s.run("1", true)
		first, _ := s.leader("")
		s.run("2", false)
		s.run("3", false)
		defer func() {
			for _, stop := range s.stop {
				stop()
			}
			s.all.Wait()
		}()
		time.Sleep(10 * time.Minute)
		if now, _ := s.leader(""); now != first {
			t.Errorf("%s leads after %s, which was well", now, first)
		}

		s.stop[first]()
		second, took := s.leader(first)
		if took > patience {
			t.Errorf("%s took over after %v from one that released the lease", second, took)
		}

		c.Net.Cut(s.host(second))
		third, took := s.leader(second)
		if took < leaseDuration-patience || took > leaseDuration+patience {
			t.Errorf("%s took over after %v from one that was gone", third, took)
		}
		c.Net.Heal(s.host(second))

		lease, err := c.clients(adminHost).CoordinationV1().Leases("default").Get(t.Context(), "work", metav1.GetOptions{})
		if err != nil || *lease.Spec.HolderIdentity != third || *lease.Spec.LeaseTransitions != 2 {
			t.Errorf("lease %+v, %v", lease.Spec, err)
		}
	})
}
