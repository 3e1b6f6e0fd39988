package serve

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// backlog is a listener that ends with its queue empty. The kernel makes
// connections before a server accepts them, and resets those that wait when the
// listening socket closes: a client, or the load balancer that has passed one on
// by then, sees a connection made and lost.
type backlog struct {
	*net.TCPListener
	late int // accepted since Close
}

// maxBacklog is what a queue holds at most, as Linux has it (net.core.somaxconn).
// It bounds what is accepted while the queue fills as fast as it empties.
const maxBacklog = 4096

// Close has Accept return what waits, and close the socket then. Accept does it
// because the socket stays open, and takes connections, while a call uses it.
func (b *backlog) Close() error { return b.SetDeadline(time.Unix(0, 1)) }

func (b *backlog) Accept() (net.Conn, error) {
	conn, err := b.TCPListener.Accept()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return conn, err
	}
	if b.late++; b.late <= maxBacklog {
		if conn, err := b.waiting(); err == nil {
			return conn, nil
		}
	}
	_ = b.TCPListener.Close() // whatever it says, nobody is to call again
	return nil, net.ErrClosed
}

// waiting accepts without waiting, which a listener whose deadline has passed
// does not do by itself. It returns EAGAIN when the queue is empty.
func (b *backlog) waiting() (net.Conn, error) {
	raw, err := b.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, accepting := -1, error(syscall.EINTR)
	for err == nil && (errors.Is(accepting, syscall.EINTR) || errors.Is(accepting, syscall.ECONNABORTED)) {
		err = raw.Control(func(listening uintptr) {
			fd, _, accepting = syscall.Accept4(int(listening), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		})
	}
	if err := errors.Join(err, accepting); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close() // FileConn has one of its own
	return net.FileConn(file)
}
