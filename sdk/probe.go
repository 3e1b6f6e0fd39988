package sdk

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// maxProbeTimeout bounds how patient the probe becomes on a starved machine.
const maxProbeTimeout = 8 * time.Second

// probe leaves a server that no longer answers. A killed process closes its
// connections and needs no probe; a paused one, or a cut cable, does. Any answer
// counts as life, also "unimplemented"; only a server that says NOT_SERVING of
// itself is left although it answers.
type probe struct {
	conn     *grpc.ClientConn
	links    *links
	interval time.Duration
	timeout  time.Duration
	log      *slog.Logger
}

func newProbe(cfg Config, conn *grpc.ClientConn, l *links, log *slog.Logger) *probe {
	p := &probe{conn: conn, links: l, interval: cfg.ProbeInterval, timeout: cfg.ProbeTimeout, log: log}
	if p.interval == 0 {
		p.interval = 500 * time.Millisecond
	}
	if p.timeout == 0 {
		p.timeout = time.Second
	}
	return p
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	var last *link
	var heard int64
	timeout, calm := p.timeout, 0
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
			last, heard = k, n
			continue
		}
		if why := p.ask(ctx, timeout); why != "" && ctx.Err() == nil {
			p.log.Warn("leaving server", "server", k.address, "reason", why)
			p.links.leave(k.address)
			// A machine too busy to answer in time is not helped by haste.
			timeout, calm = min(2*timeout, maxProbeTimeout), 0
			continue
		}
		if calm++; calm > 60 {
			timeout, calm = p.timeout, 0
		}
		heard = k.heard.Load()
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
