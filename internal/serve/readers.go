package serve

import (
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
)

// Readers ends the connections of gRPC clients that do not read what they are
// sent. gRPC has no deadline for a message of a stream: one that the client does
// not take waits for as long as the connection answers pings, and what a stream
// that is ended alone has queued is kept until the client asks for it.
type Readers struct {
	limit  time.Duration
	unread unread

	mu    sync.Mutex
	conns map[string]net.Conn // by the client's address
}

// NewReaders returns Readers that give a client so long to take a message.
func NewReaders(limit time.Duration) *Readers {
	return &Readers{limit: limit, unread: unread{most: unreadMost, callers: map[string]*backlogged{}}, conns: map[string]net.Conn{}}
}

// Listen has the connections that lis accepts be known.
func (r *Readers) Listen(lis net.Listener) net.Listener { return &readersListener{lis, r} }

type readersListener struct {
	net.Listener
	readers *Readers
}

func (l *readersListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	known := &readersConn{Conn: conn, readers: l.readers}
	l.readers.mu.Lock()
	defer l.readers.mu.Unlock()
	l.readers.conns[conn.RemoteAddr().String()] = known
	return known, nil
}

type readersConn struct {
	net.Conn
	readers *Readers
}

func (c *readersConn) Close() error {
	c.readers.mu.Lock()
	if address := c.RemoteAddr().String(); c.readers.conns[address] == c {
		delete(c.readers.conns, address)
	}
	c.readers.mu.Unlock()
	return c.Conn.Close()
}

// Watch is a stream interceptor: it ends the connection of a client that lets a
// message wait for too long.
func (r *Readers) Watch(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	p, ok := peer.FromContext(stream.Context())
	if !ok {
		return handler(srv, stream)
	}
	address := p.Addr.String()
	s := &readersStream{ServerStream: stream, limit: r.limit}
	s.guard = time.AfterFunc(r.limit, func() { r.end(address) })
	s.guard.Stop()
	defer s.guard.Stop()
	return handler(srv, s)
}

func (r *Readers) end(address string) {
	r.mu.Lock()
	conn := r.conns[address]
	r.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// readersStream times how long its messages wait.
type readersStream struct {
	grpc.ServerStream
	limit time.Duration
	guard *time.Timer
}

func (s *readersStream) SendMsg(m any) error {
	s.guard.Reset(s.limit)
	defer s.guard.Stop()
	return s.ServerStream.SendMsg(m)
}
