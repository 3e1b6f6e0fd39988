package probe

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Prober asks one running container, again and again.
type Prober struct {
	container *corev1.Container
	ip        string
	exec      Exec
	// changed is called when Started, Ready or Failed answer differently now;
	// failed with every failure, with the kind of probe and the reason.
	changed func()
	failed  func(kind string, reason error)

	mu      sync.Mutex
	started bool
	ready   bool
	dead    string // kind of the probe that condemned the container
}

// Kinds of probes, as messages name them.
const (
	Startup   = "Startup"
	Readiness = "Readiness"
	Liveness  = "Liveness"
)

// Needed says whether a container has probes at all.
func Needed(c *corev1.Container) bool {
	return c.StartupProbe != nil || c.ReadinessProbe != nil || c.LivenessProbe != nil
}

// New prepares a prober; Run asks. wasReady is what an agent before this one
// found, so that its restart takes no container out of service.
func New(c *corev1.Container, ip string, exec Exec, wasReady bool, changed func(), failed func(kind string, reason error)) *Prober {
	return &Prober{
		container: c, ip: ip, exec: exec, changed: changed, failed: failed,
		started: c.StartupProbe == nil || wasReady, ready: c.ReadinessProbe == nil || wasReady,
	}
}

// Started says whether the container has passed its startup probe.
func (p *Prober) Started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// Ready says whether the container may get traffic.
func (p *Prober) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started && p.ready
}

// Condemned is the kind of probe that wants the container restarted, or empty.
func (p *Prober) Condemned() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// Grace is how long the condemned container may take to end; 0 for as long as
// its pod says.
func (p *Prober) Grace() time.Duration {
	c := p.container.LivenessProbe
	if p.Condemned() == Startup {
		c = p.container.StartupProbe
	}
	if c == nil || c.TerminationGracePeriodSeconds == nil {
		return 0
	}
	return time.Duration(*c.TerminationGracePeriodSeconds) * time.Second
}

// A container that began just now is asked at once, so that it is ready as soon
// as it answers, but what it fails to answer in the first second does not count:
// kubelet would not have asked it yet.
const (
	settling = time.Second
	again    = 200 * time.Millisecond
)

// Run asks until ctx ends or the container is condemned.
func (p *Prober) Run(ctx context.Context) {
	if c := p.container.StartupProbe; c != nil && !p.Started() {
		if !p.loop(ctx, Startup, c, func(ok bool) bool {
			if ok {
				p.set(func() { p.started = true })
			} else {
				p.set(func() { p.dead = Startup })
			}
			return true
		}) || p.Condemned() != "" {
			return
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	if c := p.container.ReadinessProbe; c != nil {
		group.Go(func() {
			p.loop(ctx, Readiness, c, func(ok bool) bool {
				p.set(func() { p.ready = ok })
				return false
			})
		})
	}
	if c := p.container.LivenessProbe; c != nil {
		group.Go(func() {
			p.loop(ctx, Liveness, c, func(ok bool) bool {
				if !ok {
					p.set(func() { p.dead = Liveness })
					cancel()
				}
				return !ok
			})
		})
	}
	group.Wait()
}

func (p *Prober) set(change func()) {
	p.mu.Lock()
	started, ready, dead := p.started, p.ready, p.dead
	change()
	same := started == p.started && ready == p.ready && dead == p.dead
	p.mu.Unlock()
	if !same {
		p.changed()
	}
}

// loop tells verdict each time a threshold is reached, until verdict says that
// it has heard enough (true) or ctx ends (false).
func (p *Prober) loop(ctx context.Context, kind string, c *corev1.Probe, verdict func(ok bool) bool) bool {
	threshold := func(n, otherwise int32) int {
		if n == 0 {
			n = otherwise
		}
		return int(n)
	}
	wait := time.Duration(c.InitialDelaySeconds) * time.Second
	good, bad := 0, 0
	begin := time.Now()
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
		wait = seconds(c.PeriodSeconds, 10)
		err := Once(ctx, c, p.ip, p.container, p.exec)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			good, bad = good+1, 0
		case time.Since(begin) < settling:
			wait = again
			continue
		default:
			good, bad = 0, bad+1
			p.failed(kind, err)
		}
		if good >= threshold(c.SuccessThreshold, 1) && verdict(true) || bad >= threshold(c.FailureThreshold, 3) && verdict(false) {
			return true
		}
	}
}
