// Package election lets one of several instances lead, by a coordination/v1
// Lease with Kubernetes' semantics: whoever holds an unexpired lease leads, and
// a lease expires when an observer has not seen it change for its duration by
// the observer's own clock, so clocks of different machines are never compared.
package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// Config says what is led and by whom.
type Config struct {
	Client *sdk.Client
	// Namespace of the Lease; empty is kube-system.
	Namespace string
	// Name of the Lease.
	Name string
	// Identity tells instances apart; no two may share one.
	Identity string
	// LeaseDuration is how long a silent leader is respected; 0 is 5 s.
	LeaseDuration time.Duration
	// RenewDeadline is how long a leader tries to renew before it stops leading;
	// it must be shorter than LeaseDuration, and what remains is the time that
	// lead has to stop; 0 is 3.5 s.
	RenewDeadline time.Duration
	// RetryPeriod between attempts to get the lease, or to renew it after one that
	// failed; 0 is 500 ms. A lease that was renewed is left alone for a quarter of
	// RenewDeadline, if that is longer.
	RetryPeriod time.Duration
	// Leading is set while this instance leads; nil if nobody asks.
	Leading *atomic.Bool
	// Logger for changes; nil discards.
	Logger *slog.Logger
}

type elector struct {
	Config
	log *slog.Logger
	// observed is the lease as last seen, and when it was first seen so.
	observed   *coordinationv1.Lease
	observedAt time.Time
}

// Run takes part in the election until ctx ends. Whenever this instance leads,
// lead is called with a context that ends when it no longer does; the next
// attempt begins when lead has returned. When lead returns while it still leads,
// the lease is given up and Run returns lead's error.
func Run(ctx context.Context, cfg Config, lead func(ctx context.Context) error) error {
	e, err := newElector(cfg)
	if err != nil {
		return err
	}
	for {
		if !e.acquire(ctx) {
			return nil
		}
		e.log.Info("leading")
		finished, err := e.hold(ctx, lead)
		e.log.Info("no longer leading")
		if finished || ctx.Err() != nil {
			return err
		}
	}
}

func newElector(cfg Config) (*elector, error) {
	if cfg.Namespace == "" {
		cfg.Namespace = metav1.NamespaceSystem
	}
	if cfg.LeaseDuration == 0 {
		cfg.LeaseDuration = 5 * time.Second
	}
	if cfg.RenewDeadline == 0 {
		cfg.RenewDeadline = 3500 * time.Millisecond
	}
	if cfg.RetryPeriod == 0 {
		cfg.RetryPeriod = 500 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Leading == nil {
		cfg.Leading = new(atomic.Bool)
	}
	switch {
	case cfg.Client == nil || cfg.Name == "" || cfg.Identity == "":
		return nil, errors.New("election: client, name and identity are needed")
	case cfg.RenewDeadline >= cfg.LeaseDuration:
		return nil, fmt.Errorf("election %s: renew deadline %s must be shorter than the lease, %s", cfg.Name, cfg.RenewDeadline, cfg.LeaseDuration)
	case cfg.RetryPeriod >= cfg.RenewDeadline:
		return nil, fmt.Errorf("election %s: retry period %s must be shorter than the renew deadline, %s", cfg.Name, cfg.RetryPeriod, cfg.RenewDeadline)
	}
	return &elector{Config: cfg, log: cfg.Logger.With("component", "election", "lease", cfg.Name, "identity", cfg.Identity)}, nil
}

// acquire tries until this instance holds the lease; false when ctx ended.
func (e *elector) acquire(ctx context.Context) bool {
	for ctx.Err() == nil {
		tctx, cancel := context.WithTimeout(ctx, e.RenewDeadline)
		held, err := e.try(tctx)
		cancel()
		if held {
			return true
		}
		if err != nil && ctx.Err() != nil && sdk.OutcomeUnknown(err) {
			e.giveUp(nil)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Debug("lease not acquired", "error", err)
		}
		// Jitter keeps instances that wait together from colliding together.
		pause(ctx, e.RetryPeriod+rand.N(e.RetryPeriod/5+1))
	}
	return false
}

// hold runs lead and renews beside it. finished says that lead returned of its
// own accord.
func (e *elector) hold(ctx context.Context, lead func(context.Context) error) (finished bool, err error) {
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.Leading.Store(true)
	done := make(chan error, 1)
	go func() { done <- lead(lctx) }()
	renewed, wait := time.Now(), e.renewPeriod()
	for {
		select {
		case err = <-done:
			e.Leading.Store(false)
			e.release()
			return ctx.Err() == nil, err
		case <-ctx.Done():
		case <-time.After(wait):
			var leading bool
			if wait, leading = e.renew(lctx, &renewed); leading {
				continue
			}
		}
		// Deposed or told to stop: lead has to end before anything else.
		e.Leading.Store(false)
		cancel()
		err = <-done
		if ctx.Err() != nil {
			e.release()
			return false, err
		}
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return err != nil, err
	}
}

// renewPeriod leaves time for several attempts before the deadline. Each renewal is a
// write to the disks of all servers, most of what a cluster at rest does.
func (e *elector) renewPeriod() time.Duration { return max(e.RetryPeriod, e.RenewDeadline/4) }

// renew says whether this instance may go on leading, and how long until it renews
// again.
func (e *elector) renew(ctx context.Context, renewed *time.Time) (wait time.Duration, leading bool) {
	begun := time.Now()
	rctx, cancel := context.WithDeadline(ctx, renewed.Add(e.RenewDeadline))
	defer cancel()
	held, err := e.try(rctx)
	if held {
		*renewed = begun
		return e.renewPeriod(), true
	}
	if err == nil {
		e.log.Warn("lease taken by another", "holder", holder(e.observed))
		return 0, false
	}
	if time.Since(*renewed) < e.RenewDeadline {
		return e.RetryPeriod, true
	}
	e.log.Warn("lease not renewed in time", "error", err)
	return 0, false
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
