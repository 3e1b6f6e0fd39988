// Package sdktest is a cluster for tests: an ObjectService with the semantics
// of the real one (revisions, conditional writes, watches with initial events
// and expiry, transactions, bindings, graceful deletion) over in-memory
// connections. It stores any type that client-go knows, validates nothing, and
// runs inside testing/synctest bubbles.
package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

// Cluster is a store with any number of servers in front of it.
type Cluster struct {
	store *store

	mu      sync.Mutex
	servers map[string]*server
	fail    func(method string, req any) error
	stalled map[string]bool
	calls   map[string]int
}

type server struct {
	grpc   *grpc.Server
	lis    *bufconn.Listener
	done   chan struct{}
	frozen chan struct{} // closed when thawed; nil while running
}

// New starts a cluster with the named servers, "s1" if none is named. Everything
// is stopped at the end of the test.
func New(t testing.TB, servers ...string) *Cluster {
	t.Helper()
	c := Open(servers...)
	t.Cleanup(c.Close)
	return c
}

// Open is New for what is no test: Close stops everything.
func Open(servers ...string) *Cluster {
	c := &Cluster{store: newStore(), servers: map[string]*server{}, calls: map[string]int{}, stalled: map[string]bool{}}
	if len(servers) == 0 {
		servers = []string{"s1"}
	}
	for _, name := range servers {
		c.Start(name)
	}
	return c
}

// Close stops the servers that run.
func (c *Cluster) Close() {
	for _, name := range c.names() {
		c.Stop(name)
	}
}

func (c *Cluster) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.servers))
}

// Client dials the cluster, closing the connection at the end of the test. The
// change may adjust the configuration; without it, all servers are dialled.
func (c *Cluster) Client(t testing.TB, change ...func(*sdk.Config)) *sdk.Client {
	t.Helper()
	cfg := sdk.Config{Dialer: c.Dial, Servers: c.names()}
	for _, f := range change {
		f(&cfg)
	}
	client, err := sdk.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// Start runs a server again after Stop.
func (c *Cluster) Start(name string) {
	s := &server{lis: bufconn.Listen(1 << 20), done: make(chan struct{})}
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(64<<20),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			if err := c.before(info.FullMethod, req); err != nil {
				return nil, err
			}
			if c.isStalled(name) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return h(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			if info.FullMethod == apiv1.ObjectService_Exchange_FullMethodName {
				return h(srv, ss) // is not there: clients make the RPCs, which are counted and fail
			}
			if err := c.before(info.FullMethod, nil); err != nil {
				return err
			}
			return h(srv, ss)
		}))
	apiv1.RegisterObjectServiceServer(s.grpc, &service{store: c.store})
	go func() {
		defer close(s.done)
		_ = s.grpc.Serve(s.lis)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers[name] = s
}

// Stop kills a server: its connections end and no new ones are taken.
func (c *Cluster) Stop(name string) {
	c.mu.Lock()
	s := c.servers[name]
	delete(c.servers, name)
	c.mu.Unlock()
	if s != nil {
		if s.frozen != nil {
			close(s.frozen)
		}
		s.grpc.Stop()
		<-s.done
	}
}

// Freeze makes a server silent, as a paused process is: connections stay and
// nothing moves on them until Stop.
func (c *Cluster) Freeze(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.servers[name]; s != nil && s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

// Stall makes a server take calls and never answer them, as one does that is cut
// off from the other servers. Watches go on and see nothing wrong.
func (c *Cluster) Stall(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled[name] = true
}

func (c *Cluster) isStalled(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled[name]
}

// Compact forgets the past: watches may no longer begin before now.
func (c *Cluster) Compact() { c.store.compact() }

// Fail has a function decide the error of each call ("/muster.api.v1.ObjectService/Get");
// nil for none. Nothing has been done when it is asked.
func (c *Cluster) Fail(f func(method string, req any) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// Calls counts the calls of a method ("Transact") so far.
func (c *Cluster) Calls(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[apiv1.ObjectService_ServiceDesc.ServiceName+"/"+method]
}

func (c *Cluster) before(method string, req any) error {
	c.mu.Lock()
	fail := c.fail
	c.calls[method[1:]]++
	c.mu.Unlock()
	if fail != nil {
		return fail(method, req)
	}
	return nil
}

// Dial is a dialer for sdk.Config; the address is a server's name.
func (c *Cluster) Dial(ctx context.Context, name string) (net.Conn, error) {
	c.mu.Lock()
	s := c.servers[name]
	c.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("dial %s: %w", name, errors.New("connection refused"))
	}
	conn, err := s.lis.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	return &freezable{Conn: conn, cluster: c, server: s, closed: make(chan struct{})}, nil
}

// freezable is the client's end of a connection to a server that may be frozen.
type freezable struct {
	net.Conn
	cluster *Cluster
	server  *server
	closed  chan struct{}
	once    sync.Once
}

func (f *freezable) thawed() error {
	f.cluster.mu.Lock()
	frozen := f.server.frozen
	f.cluster.mu.Unlock()
	if frozen == nil {
		return nil
	}
	select {
	case <-frozen:
		return nil
	case <-f.closed:
		return net.ErrClosed
	}
}

// Read holds back what arrived after the freeze.
func (f *freezable) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if ferr := f.thawed(); ferr != nil {
		return 0, ferr
	}
	return n, err
}

// Write holds the bytes back during the freeze.
func (f *freezable) Write(b []byte) (int, error) {
	if err := f.thawed(); err != nil {
		return 0, err
	}
	return f.Conn.Write(b)
}

// Close ends reads and writes that are held back.
func (f *freezable) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}
