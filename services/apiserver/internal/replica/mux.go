package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// The two protocols of the one port, as ALPN names or, without TLS, as the
// first line.
const (
	protocolRaft = "muster-raft"
	protocolRPC  = "h2"
)

// handshakeTimeout bounds what a peer may take to say who it is.
const handshakeTimeout = 5 * time.Second

// mux tells the connections of one listener apart.
type mux struct {
	listener net.Listener
	era      *era
	tls      *tls.Config
	logger   *slog.Logger
	lanes    map[string]*lane
	ended    func() // told when a connection of Raft's has ended; does not block

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newMux(listener net.Listener, era *era, config *tls.Config, logger *slog.Logger) *mux {
	m := &mux{
		listener: listener,
		era:      era,
		logger:   logger,
		conns:    make(map[net.Conn]struct{}),
		lanes:    make(map[string]*lane),
	}
	if config != nil {
		m.tls = era.server(config)
	}
	for _, protocol := range []string{protocolRaft, protocolRPC} {
		m.lanes[protocol] = &lane{
			addr:   listener.Addr(),
			conns:  make(chan net.Conn),
			closed: make(chan struct{}),
		}
	}
	return m
}

// run accepts connections until ctx ends, then closes all that it accepted.
func (m *mux) run(ctx context.Context) error {
	var routing sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { m.close() })
	defer stop()
	defer routing.Wait()
	defer m.close()
	for {
		conn, err := m.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
			return fmt.Errorf("accept on %s: %w", m.listener.Addr(), err)
		case err != nil:
			// Out of descriptors, most likely: others may be closed meanwhile.
			m.logger.Warn("accept", "error", err)
			sleep(ctx, 50*time.Millisecond)
			continue
		}
		routing.Go(func() { m.route(ctx, conn) })
	}
}

func (m *mux) route(ctx context.Context, raw net.Conn) {
	conn := m.track(raw)
	if ctx.Err() != nil {
		_ = conn.Close()
		return
	}
	bounded, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	ready, protocol, err := m.greet(bounded, conn)
	if err != nil {
		m.logger.Warn("peer refused", "peer", raw.RemoteAddr().String(), "error", err)
		_ = conn.Close()
		return
	}
	base, ofOurs := m.era.admits(protocol)
	target, ok := m.lanes[base]
	if !ok || !ofOurs {
		m.logger.Warn("peer speaks an unknown protocol, or is of another epoch of the cluster", "peer", raw.RemoteAddr().String(), "protocol", protocol)
		_ = conn.Close()
		return
	}
	if base == protocolRaft {
		conn.watch()
	}
	select {
	case target.conns <- ready:
	case <-target.closed:
		_ = ready.Close()
	case <-ctx.Done():
		_ = ready.Close()
	}
}

// self connects this member to itself, without the network.
func (m *mux) self(protocol string) (net.Conn, error) {
	near, far := net.Pipe()
	target, conn := m.lanes[protocol], m.track(far)
	select {
	case target.conns <- conn:
		return near, nil
	case <-target.closed:
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
}

// greet finds out which protocol a peer wants to speak.
func (m *mux) greet(ctx context.Context, conn net.Conn) (net.Conn, string, error) {
	if m.tls != nil {
		cork := &cork{Conn: conn}
		secured := tls.Server(cork, m.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, "", fmt.Errorf("handshake: %w", err)
		}
		return corked{secured, cork}, secured.ConnectionState().NegotiatedProtocol, nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetReadDeadline(deadline)
	var line []byte
	for one := make([]byte, 1); len(line) < 32; line = append(line, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return nil, "", fmt.Errorf("read first line: %w", err)
		}
		if one[0] == '\n' {
			break
		}
	}
	return conn, string(line), conn.SetReadDeadline(time.Time{})
}

func (m *mux) close() {
	_ = m.listener.Close()
	for _, l := range m.lanes {
		_ = l.Close()
	}
	m.mu.Lock()
	conns := make([]net.Conn, 0, len(m.conns))
	for conn := range m.conns {
		conns = append(conns, conn)
	}
	m.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// trackedConn is a connection that the mux closes in the end. Raft leaves those
// open that it accepted.
type trackedConn struct {
	net.Conn
	mux     *mux
	watched bool // the mux's lock is held for it
}

func (m *mux) track(raw net.Conn) *trackedConn {
	conn := &trackedConn{Conn: raw, mux: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns[conn] = struct{}{}
	return conn
}

// watch has the mux tell of the end of the connection.
func (c *trackedConn) watch() {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	c.watched = true
}

// Close closes the connection and has the mux forget it.
func (c *trackedConn) Close() error {
	c.mux.mu.Lock()
	delete(c.mux.conns, c)
	watched := c.watched
	c.mux.mu.Unlock()
	err := c.Conn.Close()
	if watched {
		c.mux.ended()
	}
	return err
}

// lane is a listener for the connections of one protocol.
type lane struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept returns the next connection of the protocol.
func (l *lane) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; the mux goes on.
func (l *lane) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the address of the port.
func (l *lane) Addr() net.Addr { return l.addr }

// dialer makes connections that a mux understands.
type dialer struct {
	raw func(ctx context.Context, address string) (net.Conn, error)
	era *era
	tls *tls.Config
}

func (d dialer) dial(ctx context.Context, address, protocol string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := d.raw(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if d.tls == nil {
		if _, err := conn.Write([]byte(d.era.name(protocol) + "\n")); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		return conn, nil
	}
	config := d.tls.Clone()
	config.NextProtos = d.era.offers(protocol)
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	cork := &cork{Conn: conn}
	secured := tls.Client(cork, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: handshake: %w", address, err)
	}
	if err := d.era.answered(secured.ConnectionState().NegotiatedProtocol); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return corked{secured, cork}, nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
