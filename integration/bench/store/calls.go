package store

import (
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/integration/bench/report"
)

const (
	// objectSize is the bytes of an object's value.
	objectSize = 1 << 10
	// working and listed are the namespaces of the objects that are put and got,
	// and of those that are listed.
	working, listed = "working", "listed"
	workingObjects  = 10_000
	listedObjects   = 10_000
	listedSize      = 1500
	// stride from one object to the next, so that neighbours do not follow each
	// other: a prime, which reaches all objects unless it divides their count.
	stride = 7919
)

// puts replaces objects.
func puts(callers, objects int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		if err := b.fill(ctx, working, objects, objectSize); err != nil {
			return nil, err
		}
		o, err := b.generate(ctx, callers, b.putter(working, callers))
		return o.figures(), err
	}
}

// gets reads objects linearizably, each caller all of them in an order of its own.
func gets(callers, objects int) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		if err := b.fill(ctx, working, objects, objectSize); err != nil {
			return nil, err
		}
		o, err := b.generate(ctx, callers, func(ctx context.Context, caller, n int) error {
			return b.client(caller).Get(ctx, working, name((caller*131+n*stride)%objects))
		})
		return o.figures(), err
	}
}

// lists reads 10,000 objects at once, by one caller.
func lists(ctx context.Context, b *bed) ([]Figure, error) {
	if err := b.fill(ctx, listed, listedObjects, listedSize); err != nil {
		return nil, err
	}
	return b.list(ctx, listed)
}

func (b *bed) list(ctx context.Context, namespace string) ([]Figure, error) {
	o, err := b.generate(ctx, 1, func(ctx context.Context, _, n int) error {
		got, err := b.client(n).List(ctx, namespace, listedObjects)
		if err == nil && got != listedObjects {
			err = fmt.Errorf("list %s: %d objects, not %d", namespace, got, listedObjects)
		}
		return err
	})
	return []Figure{{Unit: "ms", Value: report.Quantile(o.Latencies, 0.5)}}, err
}

// until waits for a channel, but not for ever.
func until(ctx context.Context, c <-chan struct{}, within time.Duration, what string) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("%s: not within %v", what, within)
	}
}
