package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// window is how many bytes may be under way in one direction.
const window = 1 << 20

// pair returns both ends of a connection.
func (n *Network) pair(from, to, address string) (near, far *conn) {
	up, down := newStream(), newStream()
	client := addr(net.JoinHostPort(from, "0"))
	near = &conn{net: n, local: from, remote: to, laddr: client, raddr: addr(address), in: down, out: up}
	far = &conn{net: n, local: to, remote: from, laddr: addr(address), raddr: client, in: up, out: down}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[near] = struct{}{}
	n.conns[far] = struct{}{}
	return near, far
}

// conn is one end.
type conn struct {
	net           *Network
	local, remote string
	laddr, raddr  addr
	in, out       *stream
	dead          atomic.Bool // its cable was pulled
}

func (c *conn) Read(p []byte) (int, error) { return c.in.read(p) }

func (c *conn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return len(p), nil // lost on the way
	}
	return c.out.write(p)
}

func (c *conn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	c.in.close(net.ErrClosed, true)
	if !c.dead.Load() {
		c.out.close(io.EOF, false)
	}
	return nil
}

// reset ends the connection without the rest of what was sent.
func (c *conn) reset() {
	if !c.dead.Load() {
		c.out.close(syscall.ECONNRESET, true)
	}
	_ = c.Close()
}

func (c *conn) LocalAddr() net.Addr  { return c.laddr }
func (c *conn) RemoteAddr() net.Addr { return c.raddr }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *conn) SetReadDeadline(t time.Time) error  { c.in.readBy.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.writeBy.set(t); return nil }

// stream is one direction: a bounded buffer with deadlines.
type stream struct {
	mu              sync.Mutex
	buf             []byte
	readErr         error // given to readers once buf is empty
	writeErr        error
	changed         chan struct{} // closed and replaced at each change
	readBy, writeBy *deadline
}

func newStream() *stream {
	return &stream{changed: make(chan struct{}), readBy: newDeadline(), writeBy: newDeadline()}
}

func (s *stream) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) read(p []byte) (int, error) {
	for {
		s.mu.Lock()
		if s.readBy.passed() {
			s.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if len(s.buf) > 0 {
			n := copy(p, s.buf)
			s.buf = s.buf[n:]
			s.signal()
			s.mu.Unlock()
			return n, nil
		}
		if s.readErr != nil {
			defer s.mu.Unlock()
			return 0, s.readErr
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.readBy.done():
		}
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	for len(p) > 0 {
		s.mu.Lock()
		if s.writeErr != nil {
			defer s.mu.Unlock()
			return n, s.writeErr
		}
		if s.writeBy.passed() {
			s.mu.Unlock()
			return n, os.ErrDeadlineExceeded
		}
		if room := window - len(s.buf); room > 0 {
			k := min(room, len(p))
			s.buf = append(s.buf, p[:k]...)
			n, p = n+k, p[k:]
			s.signal()
			s.mu.Unlock()
			continue
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.writeBy.done():
		}
	}
	return n, nil
}

// close ends the stream. By its reader: buffered bytes are dropped and writers
// see a broken pipe. By its writer: readers drain the buffer first.
func (s *stream) close(readErr error, byReader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr == nil || byReader {
		s.readErr = readErr
	}
	if s.writeErr == nil {
		s.writeErr = io.ErrClosedPipe
	}
	if byReader {
		s.buf = nil
	}
	s.signal()
}

// deadline is a moment that can be moved; done is closed once it has passed.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{}
}

func newDeadline() *deadline { return &deadline{ch: make(chan struct{})} }

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	old := d.ch
	ch := make(chan struct{})
	d.ch = ch
	select {
	case <-old:
	default:
		close(old) // wakes waiters, who look again
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(ch)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ch == ch { // else it was moved in the meantime, and ch is closed
			close(ch)
		}
	})
}

func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ch
}

func (d *deadline) passed() bool {
	select {
	case <-d.done():
		return true
	default:
		return false
	}
}
