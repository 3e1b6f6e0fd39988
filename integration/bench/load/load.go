// Package load makes calls in a closed loop and says how long they took.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Generator makes calls in a closed loop: each caller makes its next call when
// its last one is answered.
type Generator struct {
	Callers int
	// Warmup is the time to run before measuring begins, Duration that of measuring.
	Warmup, Duration time.Duration
	// Begins and Ends are called when measuring does.
	Begins, Ends func()
}

// Outcome is what a Generator measured.
type Outcome struct {
	PerSecond float64
	Latencies []time.Duration
}

// Run calls op until the time is over. n counts a caller's calls. Calls that
// begin and end in the time measured count; the first error ends it all.
func (g Generator) Run(ctx context.Context, op func(ctx context.Context, caller, n int) error) (Outcome, error) {
	begin := time.Now().Add(g.Warmup)
	end := begin.Add(g.Duration)
	failed := make(chan struct{})
	var observed sync.WaitGroup
	observed.Go(func() {
		for _, moment := range []struct {
			at   time.Time
			call func()
		}{{begin, g.Begins}, {end, g.Ends}} {
			select {
			case <-time.After(time.Until(moment.at)):
				moment.call()
			case <-failed:
				return
			}
		}
	})
	latencies := make([][]time.Duration, g.Callers)
	group, ctx := errgroup.WithContext(ctx)
	for caller := range g.Callers {
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
	return Outcome{PerSecond: float64(len(all)) / g.Duration.Seconds(), Latencies: all}, err
}
