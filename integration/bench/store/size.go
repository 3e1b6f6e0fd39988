package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// settleTime is how long the resident memory must not grow or shrink by a
	// hundredth before it is believed, settleMax how long that may take.
	settleTime, settleMax = 5 * time.Second, 40 * time.Second
	restartTime           = 10 * time.Minute
)

// memory measures how much more is resident on one member with objects of 1 KiB
// of noise than without, for each object.
func memory(objects int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		value, err := b.memory(ctx, objects, func() error { return b.fill(ctx, working, objects, objectSize) })
		return []Figure{{Unit: "B/object", Value: value}}, err
	}
}

// memoryOfPods does the same with pods of 2 KiB.
func memoryOfPods(pods int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		value, err := b.memory(ctx, pods, func() error { return b.fillPods(ctx, services, pods) })
		return []Figure{{Unit: "B/pod", Value: value}}, err
	}
}

func (b *bed) memory(ctx context.Context, objects int, fill func() error) (float64, error) {
	empty, err := b.settled(ctx)
	if err != nil {
		return 0, err
	}
	b.account()
	if err := fill(); err != nil {
		return 0, err
	}
	full, err := b.settled(ctx)
	b.account()
	return float64(full-empty) / float64(objects), err
}

// settled returns the first member's resident memory once it stays the same.
func (b *bed) settled(ctx context.Context) (int64, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begin := time.Now()
	var same time.Time
	var before int64
	for {
		now, err := b.Process(0).Resident()
		if err != nil {
			return 0, err
		}
		if d := now - before; d*100 > before || -d*100 > before {
			before, same = now, time.Now()
		}
		if time.Since(same) > settleTime || time.Since(begin) > settleMax {
			return now, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// restarts stops the only member and measures how long it takes from its start
// until it answers a linearizable read.
func restarts(objects int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		if err := b.fill(ctx, working, objects, objectSize); err != nil {
			return nil, err
		}
		took, err := b.restart(ctx)
		if err == nil && b.options.Profile { // what it took at most, and what it keeps
			_, err = b.settled(ctx)
			b.account()
		}
		return []Figure{{Unit: "ms", Value: float64(took) / float64(time.Millisecond)}}, err
	}
}

func (b *bed) restart(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	b.Process(0).Stop()
	begin := time.Now()
	if err := b.Start(ctx, 0); err != nil {
		return 0, err
	}
	if err := b.serves(ctx, 0); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	return took, b.dial() // the clients of before would back off
}

// serves waits until a member answers a linearizable read. Each try has a
// connection of its own, so that no back-off is measured.
func (b *bed) serves(ctx context.Context, member int) error {
	const try, pause = 2 * time.Second, 5 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		client, err := b.Dial(member)
		if err != nil {
			return err
		}
		tried, cancel := context.WithTimeout(ctx, try)
		err = client.Get(tried, working, name(0))
		cancel()
		_ = client.Close()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("member %d does not serve: %w", member, err)
		}
	}
}
