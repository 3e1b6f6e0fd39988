package proxy

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config of a Runner.
type Config struct {
	Applier Applier
	// Rules computes what the kernel shall hold now. It is called from Run's
	// goroutine.
	Rules  func() Rules
	Logger *slog.Logger
	// Interval is the least time between two Syncs; 20 ms if zero. A burst of
	// changes costs one Sync per interval.
	Interval time.Duration
	// Resync is how often the rules are applied without any change, to repair
	// what others did to them; 30 s if zero.
	Resync time.Duration
	// MaxBackoff bounds the wait after Syncs that went wrong; 10 s if zero.
	MaxBackoff time.Duration
}

// Runner keeps the kernel's rules in step with the cluster.
type Runner struct {
	cfg     Config
	changed chan struct{}
	synced  chan struct{}
}

// NewRunner checks the configuration.
func NewRunner(cfg Config) (*Runner, error) {
	if cfg.Applier == nil || cfg.Rules == nil || cfg.Logger == nil {
		return nil, errors.New("new proxy runner: applier, rules and logger are required")
	}
	if cfg.Interval == 0 {
		cfg.Interval = 20 * time.Millisecond
	}
	if cfg.Resync == 0 {
		cfg.Resync = 30 * time.Second
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 10 * time.Second
	}
	cfg.Logger = cfg.Logger.With("component", "proxy", "mode", cfg.Applier.Mode())
	return &Runner{cfg: cfg, changed: make(chan struct{}, 1), synced: make(chan struct{})}, nil
}

// Notify tells that Rules may answer differently now. It never blocks and may
// be called from any goroutine.
func (r *Runner) Notify() {
	select {
	case r.changed <- struct{}{}:
	default: // a Sync is due already, and it will see this change
	}
}

// Synced is closed when the first Sync has succeeded.
func (r *Runner) Synced() <-chan struct{} { return r.synced }

// Run applies the rules at once and then after every change until ctx ends. The
// rules stay when it returns: a restart of the agent must not cut connections.
func (r *Runner) Run(ctx context.Context) error {
	var failures int
	for ctx.Err() == nil {
		start := time.Now()
		err := r.cfg.Applier.Sync(ctx, r.cfg.Rules())
		switch {
		case err == nil:
			failures = 0
			r.markSynced()
		case ctx.Err() == nil:
			failures++
			r.cfg.Logger.Error("applying the service rules went wrong", "error", err, "attempt", failures)
		}
		r.cfg.Logger.Debug("synced", "duration", time.Since(start))
		r.wait(ctx, failures)
	}
	return nil
}

func (r *Runner) markSynced() {
	select {
	case <-r.synced:
	default:
		close(r.synced)
	}
}

// wait returns when the next Sync is due: Interval after the last one and a
// change or a resync, or the back-off after a failure.
func (r *Runner) wait(ctx context.Context, failures int) {
	if failures > 0 {
		backoff := r.cfg.Interval << min(failures, 16)
		sleep(ctx, min(backoff, r.cfg.MaxBackoff))
		return
	}
	sleep(ctx, r.cfg.Interval)
	timer := time.NewTimer(r.cfg.Resync)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.changed:
	case <-timer.C:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
