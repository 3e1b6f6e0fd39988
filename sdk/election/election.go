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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// lead has to stop; 0 is 3 s.
	RenewDeadline time.Duration
	// RetryPeriod between attempts to get or renew the lease; 0 is 500 ms.
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
		cfg.RenewDeadline = 3 * time.Second
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
	renewed := time.Now()
	for {
		select {
		case err = <-done:
			e.Leading.Store(false)
			e.release()
			return ctx.Err() == nil, err
		case <-ctx.Done():
		case <-time.After(e.RetryPeriod):
			if e.renew(lctx, &renewed) {
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

// renew says whether this instance may go on leading.
func (e *elector) renew(ctx context.Context, renewed *time.Time) bool {
	begun := time.Now()
	rctx, cancel := context.WithDeadline(ctx, renewed.Add(e.RenewDeadline))
	defer cancel()
	held, err := e.try(rctx)
	if held {
		*renewed = begun
		return true
	}
	if err == nil {
		e.log.Warn("lease taken by another", "holder", holder(e.observed))
		return false
	}
	if time.Since(*renewed) < e.RenewDeadline {
		return true
	}
	e.log.Warn("lease not renewed in time", "error", err)
	return false
}

// try gets or renews the lease. Neither held nor an error: another holds it.
func (e *elector) try(ctx context.Context) (held bool, err error) {
	now := time.Now()
	lease, err := sdk.Get[*coordinationv1.Lease](ctx, e.Client, e.Namespace, e.Name)
	if apierrors.IsNotFound(err) {
		created, err := sdk.Create(ctx, e.Client, e.claim(nil, now))
		if err != nil {
			return false, err
		}
		e.observe(created)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.observe(lease)
	if h := holder(lease); h != "" && h != e.Identity && now.Before(e.observedAt.Add(duration(lease))) {
		return false, nil
	}
	updated, err := sdk.Update(ctx, e.Client, e.claim(lease, now))
	if err != nil {
		return false, err
	}
	e.observe(updated)
	return true, nil
}

// claim is the lease as it is when this instance holds it.
func (e *elector) claim(was *coordinationv1.Lease, now time.Time) *coordinationv1.Lease {
	seconds := int32((e.LeaseDuration + time.Second - 1) / time.Second)
	micro := metav1.NewMicroTime(now)
	if was == nil {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &e.Identity, LeaseDurationSeconds: &seconds,
				AcquireTime: &micro, RenewTime: &micro, LeaseTransitions: new(int32)},
		}
	}
	l := was.DeepCopy()
	l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &seconds, &micro
	if holder(was) != e.Identity {
		transitions := int32(1)
		if was.Spec.LeaseTransitions != nil {
			transitions += *was.Spec.LeaseTransitions
		}
		l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.LeaseTransitions = &e.Identity, &micro, &transitions
	}
	return l
}

// release lets a successor lead at once. It is tried briefly: the lease expires
// by itself.
func (e *elector) release() {
	if e.observed == nil || holder(e.observed) != e.Identity {
		return
	}
	e.giveUp(e.observed)
}

// giveUp writes that nobody holds the lease if, as read, this instance does; nil
// has not been read. An attempt that was cut short when this instance was told
// to stop may have been carried out all the same, so that what it knows of the
// lease is older than its own last write: then the lease is read again.
func (e *elector) giveUp(l *coordinationv1.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		var err error
		if l == nil {
			l, err = sdk.Get[*coordinationv1.Lease](ctx, e.Client, e.Namespace, e.Name)
		}
		if err == nil && holder(l) != e.Identity {
			return
		}
		if err == nil {
			l = l.DeepCopy()
			nobody, second, micro := "", int32(1), metav1.NewMicroTime(time.Now())
			l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &nobody, &second, &micro
			l, err = sdk.Update(ctx, e.Client, l)
		}
		switch {
		case err == nil:
			e.observe(l)
			return
		case !apierrors.IsConflict(err):
			e.log.Debug("lease not released", "error", err)
			return
		}
		l = nil
	}
}

func (e *elector) observe(l *coordinationv1.Lease) {
	if e.observed == nil || e.observed.ResourceVersion != l.ResourceVersion || e.observed.UID != l.UID {
		e.observed, e.observedAt = l, time.Now()
	}
}

func holder(l *coordinationv1.Lease) string {
	if l == nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func duration(l *coordinationv1.Lease) time.Duration {
	if l.Spec.LeaseDurationSeconds == nil {
		return 0
	}
	return time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
