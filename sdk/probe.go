package sdk

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

const (
	// minStall is how long a call has waited at least before its end by timeout is
	// held against the server.
	minStall  = time.Second
	maxStalls = 2
	// aloneTimeout is the probe's patience with an only server.
	aloneTimeout = 3 * time.Second
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

	mu     sync.Mutex
	stalls int       // calls in a row that got no answer
	leftAt time.Time // calls from before say nothing of the server in use now
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

// watch is a client interceptor that knows whether calls wait, and how they end.
func (p *probe) watch(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	// A server answers these by itself: they do not tell that it serves.
	if method == healthv1.Health_Check_FullMethodName || method == clusterv1.ClusterService_ListMembers_FullMethodName {
		return call(ctx, method, req, reply, cc, opts...)
	}
	return p.during(ctx, func() error { return call(ctx, method, req, reply, cc, opts...) })
}

// during makes a call and learns from how it ended.
func (p *probe) during(ctx context.Context, call func() error) error {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	begun, server := time.Now(), p.links.current()
	err := call()
	if errors.Is(err, exchange.ErrNoStream) {
		return err // no server had to do with it
	}
	p.ended(ctx, server, begun, err)
	return err
}

// ended counts the calls in a row that a server let run out of time, or refused
// for want of a leader. Two are enough to try another one: a server that is cut
// off from its fellows answers probes, and nothing else.
func (p *probe) ended(ctx context.Context, server string, begun time.Time, err error) {
	stalled := err != nil && (status.Code(err) == codes.DeadlineExceeded && time.Since(begun) > minStall ||
		apierrors.IsServiceUnavailable(fromGRPC(ctx, err)))
	if server == "" || server != p.links.current() || p.links.count() < 2 {
		return
	}
	p.mu.Lock()
	if begun.Before(p.leftAt) {
		stalled = false
	} else if !stalled {
		p.stalls = 0
	}
	leave := false
	if stalled {
		p.stalls++
		if leave = p.stalls >= maxStalls; leave {
			p.stalls, p.leftAt = 0, time.Now()
		}
	}
	p.mu.Unlock()
	if leave {
		p.log.Warn("leaving server", "server", server, "reason", "it takes calls and does not answer them", "error", err)
		p.links.leave(server)
	}
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
		patience := timeout
		if p.links.count() < 2 {
			// There is nowhere to go: a new connection helps only if this one is dead.
			patience = max(patience, aloneTimeout)
		}
		if why := p.ask(ctx, patience); why != "" && ctx.Err() == nil {
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
