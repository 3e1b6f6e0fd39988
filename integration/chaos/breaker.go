package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// breaker carries a schedule out. Faults overlap; a member that is down or held
// is left alone by others of its kind.
type breaker struct {
	cluster Cluster
	leaders leaders
	log     func(string, ...any)
	began   func(kind string)

	links    map[int]map[Pair]Quality // by the number of the fault
	busy     map[string]bool          // members that are down or held
	number   int
	replaced time.Time // when a member was replaced last
}

func newBreaker(c Cluster, l leaders, log func(string, ...any), began func(kind string)) *breaker {
	return &breaker{cluster: c, leaders: l, log: log, began: began, links: map[int]map[Pair]Quality{}, busy: map[string]bool{}}
}

// leaders knows who leads, and hands the leadership over.
type leaders interface {
	// leader is "" when nobody can tell.
	leader(ctx context.Context) string
	// handOver is refused where nobody leads, or to cannot.
	handOver(ctx context.Context, to string) error
}

// mending is a fault under way.
type mending struct {
	at   time.Time
	what string
	mend func(context.Context) error
}

// run breaks and mends, and ends with all mended, at once when ctx ends.
func (b *breaker) run(ctx context.Context, faults []fault) (err error) {
	start := time.Now()
	var active []mending
	defer func() { err = errors.Join(err, b.mendUntil(ctx, &active, time.Time{})) }()
	for _, f := range faults {
		begin := start.Add(f.begin)
		if f.kind == "replace" { // needs a majority that works
			begin = time.Time{}
		}
		if err := b.mendUntil(ctx, &active, begin); err != nil {
			return err
		}
		if wait(ctx, time.Until(start.Add(f.begin))); ctx.Err() != nil {
			return nil
		}
		b.number++
		mend, err := faultKinds[f.kind].begin(b, ctx, f)
		if mend != nil {
			active = append(active, mending{at: time.Now().Add(f.length), what: f.String(), mend: mend})
		}
		if err != nil {
			return fmt.Errorf("%v: %w", f, err)
		}
		if mend != nil {
			b.began(f.kind)
		}
	}
	return nil
}

// mendUntil mends what is due before a time, when it is due; all at once for the
// zero time.
func (b *breaker) mendUntil(ctx context.Context, active *[]mending, end time.Time) error {
	slices.SortStableFunc(*active, func(x, y mending) int { return x.at.Compare(y.at) })
	var errs []error
	for len(*active) > 0 && (end.IsZero() || (*active)[0].at.Before(end)) {
		first := (*active)[0]
		wait(ctx, time.Until(first.at))
		*active = (*active)[1:]
		if err := first.mend(context.WithoutCancel(ctx)); err != nil {
			errs = append(errs, fmt.Errorf("mend %s: %w", first.what, err))
		}
	}
	return errors.Join(errs...)
}
