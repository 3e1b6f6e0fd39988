package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/integration/bench/report"
)

// generator makes calls in a closed loop: each caller makes its next call when
// its last one is answered.
type generator struct {
	callers          int
	warmup, duration time.Duration
	// window is called when measuring begins and when it ends.
	window func()
}

// outcome is what a generator measured.
type outcome struct {
	perSecond float64
	latencies []time.Duration
}

func (o outcome) figures() []Figure {
	return []Figure{
		{Unit: "/s", Value: o.perSecond},
		{Suffix: "/p99", Unit: "ms", Value: report.Quantile(o.latencies, 0.99)},
	}
}

// run calls op until the time is over. n counts a caller's calls. Calls that
// begin and end in the time measured count; the first error ends it all.
func (g generator) run(ctx context.Context, op func(ctx context.Context, caller, n int) error) (outcome, error) {
	begin := time.Now().Add(g.warmup)
	end := begin.Add(g.duration)
	for _, at := range []time.Time{begin, end} {
		timer := time.AfterFunc(time.Until(at), g.window)
		defer timer.Stop()
	}
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
	all := slices.Concat(latencies...)
	return outcome{perSecond: float64(len(all)) / g.duration.Seconds(), latencies: all}, err
}
