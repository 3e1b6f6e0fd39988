package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/integration/bench/report"
)

// generator makes calls in a closed loop: each caller makes its next call when
// its last one is answered.
type generator struct {
	callers          int
	warmup, duration time.Duration
	// begins and ends are called when measuring does.
	begins, ends func()
}

// outcome is what a generator measured.
type outcome struct {
	perSecond float64
	latencies []time.Duration
	// members and client are the processor times that they used.
	members, client time.Duration
}

// figures are the calls per second, the 99th percentile of their latencies, and
// the processor time that each took on all members together and in the client.
func (o outcome) figures() []Figure {
	calls := float64(len(o.latencies))
	return []Figure{
		{Unit: "/s", Value: o.perSecond},
		{Suffix: "/p99", Unit: "ms", Value: report.Quantile(o.latencies, 0.99)},
		{Suffix: "/cpu", Unit: "us", Value: float64(o.members.Microseconds()) / calls},
		{Suffix: "/client-cpu", Unit: "us", Value: float64(o.client.Microseconds()) / calls},
	}
}

// run calls op until the time is over. n counts a caller's calls. Calls that
// begin and end in the time measured count; the first error ends it all.
func (g generator) run(ctx context.Context, op func(ctx context.Context, caller, n int) error) (outcome, error) {
	begin := time.Now().Add(g.warmup)
	end := begin.Add(g.duration)
	failed := make(chan struct{})
	var observed sync.WaitGroup
	observed.Go(func() {
		for _, moment := range []struct {
			at   time.Time
			call func()
		}{{begin, g.begins}, {end, g.ends}} {
			select {
			case <-time.After(time.Until(moment.at)):
				moment.call()
			case <-failed:
				return
			}
		}
	})
	latencies := make([][]time.Duration, g.callers)
	group, ctx := errgroup.WithContext(ctx)
	for caller := range g.callers {
		group.Go(func() error {
			for n := 0; ; n++ {
				before := time.Now()
				if !before.Before(end) {
					return nil
				}
				if err := op(ctx, caller, n); err != nil {
					return fmt.Errorf("call %d of caller %d: %w", n, caller, err)
				}
				if after := time.Now(); before.After(begin) && after.Before(end) {
					latencies[caller] = append(latencies[caller], after.Sub(before))
				}
			}
		})
	}
	err := group.Wait()
	if err != nil {
		close(failed)
	}
	observed.Wait()
	all := slices.Concat(latencies...)
	return outcome{perSecond: float64(len(all)) / g.duration.Seconds(), latencies: all}, err
}
