package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/report"
)

const (
	watched        = "watched"
	watchedObjects = 100
	// putters write as fast as they can while the rate of events is measured.
	putters = 16
	// deliveries and maxEvents bound how many events that takes.
	deliveries, maxEvents = 200_000, 10_000
	// deliverTime bounds the wait for what was put.
	deliverTime = time.Minute
)

// fanout counts the events that many watchers saw together.
type fanout struct {
	seen  atomic.Int64
	goal  atomic.Int64
	there chan struct{} // gets one value when seen reaches goal
}

func (f *fanout) add(events int) {
	if now, goal := f.seen.Add(int64(events)), f.goal.Load(); now >= goal && now-int64(events) < goal {
		f.there <- struct{}{}
	}
}

// fanouts measures how long an event takes from the put's call to all watchers,
// one event at a time, and how many events per second all watchers get together
// when there are many.
func fanouts(watchers int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		if err := b.fill(ctx, watched, watchedObjects, objectSize); err != nil {
			return nil, err
		}
		f := &fanout{there: make(chan struct{}, 1)}
		group, watching := errgroup.WithContext(ctx)
		watching, stop := context.WithCancel(watching)
		defer func() {
			stop()
			_ = group.Wait() // why it failed has been told
		}()
		ready := make(chan struct{}, watchers)
		for i := range watchers {
			group.Go(func() error {
				err := b.client(i).Watch(watching, watched, func() { ready <- struct{}{} }, f.add)
				if watching.Err() != nil {
					return nil // it was stopped
				}
				return fmt.Errorf("watcher %d: %w", i, err)
			})
		}
		for range watchers {
			if err := until(watching, ready, deliverTime, "begin watches"); err != nil {
				return nil, err
			}
		}
		latency, err := b.eventLatency(watching, f, watchers)
		if err != nil {
			return nil, err
		}
		rate, err := b.eventRate(watching, f, watchers)
		stop()
		if e := group.Wait(); err == nil {
			err = e
		}
		return append([]Figure{{Suffix: "/latency", Unit: "ms", Value: report.Quantile(latency, 0.5)}}, rate...), err
	}
}

func (b *bed) eventLatency(ctx context.Context, f *fanout, watchers int) ([]time.Duration, error) {
	put := b.putter(watched, 1)
	o, err := b.generate(ctx, 1, func(ctx context.Context, caller, n int) error {
		f.goal.Add(int64(watchers))
		if err := put(ctx, caller, n); err != nil {
			return err
		}
		return until(ctx, f.there, deliverTime, "see an event everywhere")
	})
	return o.Latencies, err
}

// eventRate puts as fast as it can, and waits until all watchers have seen it.
func (b *bed) eventRate(ctx context.Context, f *fanout, watchers int) ([]Figure, error) {
	events := min(maxEvents, deliveries/watchers)
	f.goal.Add(int64(events * watchers))
	put := b.putter(watched, putters)
	begin, members, client := time.Now(), b.used(), process.Own()
	group, putting := errgroup.WithContext(ctx)
	for caller := range putters {
		group.Go(func() error {
			for n := caller; n < events; n += putters {
				if err := put(putting, caller, n/putters); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := until(ctx, f.there, deliverTime, "see all events everywhere"); err != nil {
		return nil, err
	}
	all := float64(events * watchers)
	return []Figure{
		{Suffix: "/events", Unit: "/s", Value: all / time.Since(begin).Seconds()},
		{Suffix: "/events/cpu", Unit: "us", Value: float64((b.used() - members).Microseconds()) / all},
		{Suffix: "/events/client-cpu", Unit: "us", Value: float64((process.Own() - client).Microseconds()) / all},
	}, nil
}
