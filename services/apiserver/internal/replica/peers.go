package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// messageMax bounds a call between members, in bytes.
const messageMax = 64 << 20

// windowSize is what a member may send before the other has read it, in bytes.
const windowSize = 4 << 20

// peers holds a connection to each member that was called.
type peers struct {
	dialer dialer

	mu     sync.Mutex
	closed bool
	conns  map[string]*grpc.ClientConn
}

func newPeers(d dialer) *peers { return &peers{dialer: d, conns: make(map[string]*grpc.ClientConn)} }

// client returns a client of the member at an address.
func (p *peers) client(to string) (clusterv1.ReplicaServiceClient, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrStopped
	}
	conn, ok := p.conns[to]
	if !ok {
		var err error
		if conn, err = p.connect(to); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", to, err)
		}
		p.conns[to] = conn
	}
	return clusterv1.NewReplicaServiceClient(conn), nil
}

func (p *peers) connect(to string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+to,
		// The dialer has done TLS already, as for Raft.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
			return p.dialer.dial(ctx, to, protocolRPC)
		}),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
		// A window of a fixed size: gRPC would measure the way by pings.
		grpc.WithInitialWindowSize(windowSize),
		grpc.WithInitialConnWindowSize(windowSize),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newMessageCodec()), grpc.MaxCallRecvMsgSize(messageMax), grpc.MaxCallSendMsgSize(messageMax)),
	)
}

func (p *peers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, conn := range p.conns {
		errs = append(errs, conn.Close())
	}
	clear(p.conns)
	return errors.Join(errs...)
}
