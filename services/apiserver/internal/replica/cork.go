package replica

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// recordLeast is what surely fits in a TLS record, in bytes: they are small at
	// first and after a rest.
	recordLeast = 1 << 10
	// corkedMost is how large a buffer is kept for the next write.
	corkedMost = 512 << 10
)

// corked is a TLS connection that hands all records of one write to the kernel at
// once. crypto/tls makes a system call for each, and on the other side each wakes
// the reader: an entry of the log is up to 32 of them.
type corked struct {
	*tls.Conn
	cork *cork
}

// Write writes all of p.
func (c corked) Write(p []byte) (int, error) {
	if len(p) <= recordLeast {
		return c.Conn.Write(p)
	}
	c.cork.hold()
	n, err := c.Conn.Write(p)
	if flushed := c.cork.release(); err == nil {
		err = flushed
	}
	return n, err
}

// Close closes the connection. It does not wait for a write, as crypto/tls does not
// for one that it knows of.
func (c corked) Close() error {
	if c.cork.flushing.Load() {
		return c.cork.Conn.Close()
	}
	return c.Conn.Close()
}

// cork is what lies below TLS. While it is held, what is written is kept.
type cork struct {
	net.Conn
	flushing atomic.Bool

	mu    sync.Mutex
	holds int
	kept  []byte
}

func (c *cork) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds++
}

// release writes what was kept, when nobody else holds the cork.
func (c *cork) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds--; c.holds > 0 || len(c.kept) == 0 {
		return nil
	}
	c.flushing.Store(true)
	_, err := c.Conn.Write(c.kept)
	c.flushing.Store(false)
	if c.kept = c.kept[:0]; cap(c.kept) > corkedMost {
		c.kept = nil
	}
	return err
}

// Write writes p, or keeps it.
func (c *cork) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds > 0 {
		c.kept = append(c.kept, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}
