package sdk

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// maxProbeTimeout bounds how patient the probe becomes on a starved machine.
const maxProbeTimeout = 8 * time.Second

// quietTicks is how many intervals a connection may say nothing, while no call
// waits for an answer, before it is asked whether it lives.
const quietTicks = 4

// probe leaves a server that no longer answers. A killed process closes its
// connections and needs no probe; a paused one, or a cut cable, does. Any answer
// counts as life, also "unimplemented"; only a server that says NOT_SERVING of
// itself is left although it answers.
type probe struct {
	conn     *grpc.ClientConn
	links    *links
	interval time.Duration
	timeout  time.Duration
	waiting  atomic.Int64 // calls without an answer yet
	log      *slog.Logger
}

func newProbe(cfg Config, l *links, log *slog.Logger) *probe {
	p := &probe{links: l, interval: cfg.ProbeInterval, timeout: cfg.ProbeTimeout, log: log}
	if p.interval == 0 {
		p.interval = 250 * time.Millisecond
	}
	if p.timeout == 0 {
		p.timeout = 750 * time.Millisecond
	}
	return p
}

// count is a client interceptor that knows whether calls wait.
func (p *probe) count(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if method != healthv1.Health_Check_FullMethodName {
		p.waiting.Add(1)
		defer p.waiting.Add(-1)
	}
	return call(ctx, method, req, reply, cc, opts...)
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	var last *link
	var heard int64
	timeout, quiet, calm := p.timeout, 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k := p.links.newest()
		if k == nil || p.conn.GetState() != connectivity.Ready {
			continue
		}
		if n := k.heard.Load(); k != last || n != heard {
			last, heard, quiet = k, n, 0
			continue
		}
		if quiet++; quiet < quietTicks && p.waiting.Load() == 0 {
			continue
		}
		if why := p.ask(ctx, timeout); why != "" && ctx.Err() == nil {
			p.log.Warn("leaving server", "server", k.address, "reason", why)
			p.links.leave(k.address)
			// A machine too busy to answer in time is not helped by haste.
			timeout, calm = min(timeout*3/2, maxProbeTimeout), 0
			continue
		}
		if calm++; calm > 30 {
			timeout, calm = p.timeout, 0
		}
		heard, quiet = k.heard.Load(), 0
	}
}

// ask returns why the server should be left; empty when it should not.
func (p *probe) ask(ctx context.Context, timeout time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := healthv1.NewHealthClient(p.conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(false))
	if err == nil {
		if resp.GetStatus() == healthv1.HealthCheckResponse_NOT_SERVING {
			return "it is not serving"
		}
		return ""
	}
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded {
		return "no answer within " + timeout.String()
	}
	return ""
}
