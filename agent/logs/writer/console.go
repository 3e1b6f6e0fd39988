package writer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/logs/console"
)

// patience is how long the container waits for somebody attached who does not
// read, before that one is cut off.
const patience = 10 * time.Second

// hub hands a container's output to whoever is attached, and their input to the
// container.
type hub struct {
	lis   net.Listener
	stdin *os.File // nil when the container has none

	mu       sync.Mutex
	attached map[net.Conn]struct{}
	closed   bool
	wg       sync.WaitGroup
}

// openHub listens in the directory, and opens the container's input if there is
// one: for both ways, so that neither side's end is anybody's but the hub's.
func openHub(dir string) (*hub, error) {
	lis, err := console.Listen(dir)
	if err != nil {
		return nil, err
	}
	h := &hub{lis: lis, attached: map[net.Conn]struct{}{}}
	h.stdin, err = os.OpenFile(filepath.Join(dir, console.Stdin), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("open container's input: %w", err), lis.Close())
	}
	if err != nil {
		h.stdin = nil
	}
	h.wg.Go(h.accept)
	return h, nil
}

func (h *hub) accept() {
	for {
		conn, err := h.lis.Accept()
		if err != nil {
			return
		}
		if !h.add(conn) {
			return
		}
		h.wg.Go(func() { h.serve(conn) })
	}
}

func (h *hub) add(conn net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = conn.Close()
		return false
	}
	h.attached[conn] = struct{}{}
	return true
}

// serve takes one's input until that one goes.
func (h *hub) serve(conn net.Conn) {
	defer h.drop(conn)
	for {
		kind, data, err := console.Read(conn)
		if err != nil {
			return
		}
		switch {
		case h.stdin == nil:
		case kind == console.Input:
			_, _ = h.stdin.Write(data) // What nobody will read is lost.
		case kind == console.InputEnd:
			_ = h.stdin.Close()
		}
	}
}

func (h *hub) drop(conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.attached, conn)
	_ = conn.Close()
}

// tee is r, of which the attached see everything at once.
func (h *hub) tee(r io.Reader, kind byte) io.Reader {
	return io.TeeReader(r, sink{h, kind})
}

type sink struct {
	*hub
	kind byte
}

// Write never fails: the log goes on.
func (s sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	var all []net.Conn
	for conn := range s.attached {
		all = append(all, conn)
	}
	s.mu.Unlock()
	for _, conn := range all {
		if conn.SetWriteDeadline(time.Now().Add(patience)) != nil || console.Write(conn, s.kind, b) != nil {
			s.drop(conn)
		}
	}
	return len(b), nil
}

// close lets go of everybody; what was written is theirs to read.
func (h *hub) close() {
	_ = h.lis.Close()
	if h.stdin != nil {
		_ = h.stdin.Close()
	}
	h.mu.Lock()
	h.closed = true
	for conn := range h.attached {
		_ = conn.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}
