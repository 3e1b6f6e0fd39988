package dev

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	checkInterval = 200 * time.Millisecond
	// checkTimeout is how long a server may take for an answer before it no
	// longer gets new connections. A paused one accepts, but does not answer.
	checkTimeout = time.Second
	dialTimeout  = 500 * time.Millisecond
)

// Balancer passes TCP connections to one of several servers, and cuts those to
// a server that stopped answering, so that clients come back to another one.
type Balancer struct {
	backends []*backend
	next     atomic.Uint64
	logger   *slog.Logger
}

// NewBalancer balances over the addresses, host:port.
func NewBalancer(logger *slog.Logger, addresses []string) *Balancer {
	b := &Balancer{logger: logger.With("component", "balancer")}
	for _, address := range addresses {
		b.backends = append(b.backends, &backend{address: address, conns: make(map[net.Conn]struct{})})
	}
	return b
}

// backend is a server; connections are cut when it becomes unhealthy.
type backend struct {
	address string

	mu      sync.Mutex
	healthy bool
	conns   map[net.Conn]struct{}
}

// Run accepts on lis until ctx ends.
func (b *Balancer) Run(ctx context.Context, lis net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	for _, backend := range b.backends {
		group.Go(func() error { b.check(ctx, backend); return nil })
	}
	group.Go(func() error {
		for {
			conn, err := lis.Accept()
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			group.Go(func() error { b.serve(ctx, conn); return nil })
		}
	})
	return group.Wait()
}

// check keeps asking one server whether it lives.
func (b *Balancer) check(ctx context.Context, s *backend) {
	client := prober()
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		err := probe(ctx, client, s.address)
		healthy := err == nil
		if was := s.set(healthy, !isEnd(err)); was != healthy && ctx.Err() == nil {
			b.logger.Info("server", "address", s.address, "healthy", healthy, "cause", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(checkInterval):
		}
	}
	s.set(false, true)
}

// ends are what a server that closes its door says to who comes or waits at it. It
// answers yet what it was asked before, or has ended, and its connections with it.
var ends = []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF}

func isEnd(err error) bool {
	return slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}

// prober keeps its connection: five handshakes a second would be a sixth of what a
// server without work does. Whether it is alive is all that is asked; what passes
// through is verified by the two ends.
func prober() *http.Client {
	return &http.Client{
		Timeout: checkTimeout,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			MaxConnsPerHost: 1,
		},
	}
}

// probe is content with any answer: a server that is not ready tells its callers so.
func probe(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+address+"/livez", http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// set notes a verdict, cuts the connections of one that is ill if it is told to,
// and returns the verdict before.
func (s *backend) set(healthy, cut bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.healthy = s.healthy, healthy
	if !healthy && cut {
		for conn := range s.conns {
			_ = conn.Close()
		}
	}
	return was
}

func (s *backend) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = struct{}{}
	return s.healthy
}

func (s *backend) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func (b *Balancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	hello := &hello{client: client}
	// One that has closed its door meanwhile is followed by another one.
	for range b.backends {
		s, server := b.connect(ctx)
		if server == nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		if hello.answered(server) {
			var done sync.WaitGroup
			done.Go(func() { pass(server, client) })
			done.Go(func() { pass(client, server) })
			done.Wait()
		}
		stop()
		s.forget(server)
		_ = server.Close()
		if hello.over {
			return
		}
	}
}

// connect tries the healthy servers in turn.
func (b *Balancer) connect(ctx context.Context) (*backend, net.Conn) {
	first := b.next.Add(1)
	for i := range b.backends {
		s := b.backends[(first+uint64(i))%uint64(len(b.backends))]
		s.mu.Lock()
		healthy := s.healthy
		s.mu.Unlock()
		if !healthy {
			continue
		}
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			continue
		}
		if s.track(conn) {
			return s, conn
		}
		s.forget(conn)
		_ = conn.Close()
	}
	return nil, nil
}

// pass copies one direction and hands on its end.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		_ = from.Close()
	}
	_ = to.Close()
}
