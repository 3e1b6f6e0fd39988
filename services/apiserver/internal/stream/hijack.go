package stream

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lookInterval is how often a connection is looked at whose client sends more
// than the command reads.
const lookInterval = time.Second

// hijacker hands out the client's connection and notices when the client has
// left it: net/http tells of that no more.
type hijacker struct {
	http.ResponseWriter
	gone context.CancelFunc
	conn *live // once hijacked
}

// Hijack implements http.Hijacker, whatever wraps the writer.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	l := &live{Conn: conn, in: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn), gone: h.gone, closed: make(chan struct{})}
	h.conn = l
	go l.look()
	return l, bufio.NewReadWriter(bufio.NewReader(l), bufio.NewWriter(l)), nil
}

// live is a connection that tells once that its peer is gone.
type live struct {
	net.Conn
	in     io.Reader
	gone   context.CancelFunc
	once   sync.Once
	closed chan struct{}
	// reading says that somebody waits for the peer.
	reading atomic.Bool
}

func (l *live) Read(b []byte) (int, error) {
	l.reading.Store(true)
	defer l.reading.Store(false)
	n, err := l.in.Read(b)
	if err != nil {
		l.gone()
	}
	return n, err
}

func (l *live) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	if err != nil {
		l.gone()
	}
	return n, err
}

func (l *live) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.gone()
	return l.Conn.Close()
}

// look asks the kernel whether the peer has closed its side, which a reader
// would not notice while it waits for a command to take what it has read.
func (l *live) look() {
	raw := rawConn(l.Conn)
	if raw == nil {
		return
	}
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.closed:
			return
		case <-tick.C:
		}
		left := false
		err := raw.Control(func(fd uintptr) {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
			n, err := unix.Poll(poll, 0)
			left = err == nil && n > 0 && poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
		})
		if err != nil || left {
			l.gone()
			return
		}
	}
}

// rawConn finds the socket below TLS and other wrappers; nil if there is none.
func rawConn(conn net.Conn) syscall.RawConn {
	for {
		if s, ok := conn.(syscall.Conn); ok {
			raw, err := s.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		}
		inner, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = inner.NetConn()
	}
}
