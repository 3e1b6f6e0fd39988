package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// probeTimeout of each of the two tries of a probe.
const probeTimeout = 400 * time.Millisecond

// Prober asks an agent directly whether it lives.
type Prober struct {
	// TLS authenticates both ends; nil is plain text, for tests.
	TLS *tls.Config
	// Dial opens the raw connection; nil is TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// line is the connection to one agent, kept between probes. It belongs to one
// goroutine.
type line struct {
	prober  *Prober
	node    string
	address string
	conn    *grpc.ClientConn
	dialErr atomic.Pointer[error]
}

func (p *Prober) line(node string) *line { return &line{prober: p, node: node} }

// probe asks twice: on the connection that is there, and when that fails on a
// new one, so that what is judged is the node and not an old connection.
func (l *line) probe(ctx context.Context, address string) Report {
	if address == "" {
		return Report{Outcome: Silent}
	}
	if l.address != address {
		l.close()
		l.address = address
	}
	for range 2 {
		r, err := l.ping(ctx)
		if err == nil {
			return r
		}
		l.close()
	}
	if err := l.dialErr.Load(); err != nil && errors.Is(*err, syscall.ECONNREFUSED) {
		return Report{Outcome: Refused}
	}
	return Report{Outcome: Silent}
}

func (l *line) ping(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if l.conn == nil {
		l.dialErr.Store(nil)
		conn, err := l.dial()
		if err != nil {
			return Report{}, err
		}
		l.conn = conn
	}
	resp, err := agentv1.NewAgentServiceClient(l.conn).Ping(ctx, &agentv1.PingRequest{})
	if err != nil {
		return Report{}, fmt.Errorf("ping agent of %s at %s: %w", l.node, l.address, err)
	}
	if resp.GetNode() != l.node {
		// Another node has the address by now.
		return Report{}, fmt.Errorf("ping agent of %s at %s: it is the agent of %s", l.node, l.address, resp.GetNode())
	}
	return Report{Outcome: Answered, Ready: resp.GetReady(), Reason: resp.GetReason(), Message: resp.GetMessage()}, nil
}

func (l *line) dial() (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if l.prober.TLS != nil {
		creds = credentials.NewTLS(l.prober.TLS)
	}
	return grpc.NewClient("passthrough:///"+l.address,
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := l.prober.open(ctx, address)
			if err != nil {
				l.dialErr.Store(&err)
			}
			return conn, err
		}))
}

func (p *Prober) open(ctx context.Context, address string) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial(ctx, address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
