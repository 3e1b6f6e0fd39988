package fake

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// Stream implements runtime.Runtime. Besides those of Exec it knows "cat",
// "both OUT ERR CODE", which writes a line to each stream, "pour N", which
// writes N KiB, and "size", which answers each line with the terminal's
// "ROWS COLUMNS".
func (r *Runtime) Stream(ctx context.Context, uid, id string, command []string, s runtime.Streams) (int, error) {
	r.mu.Lock()
	c := r.find(uid, id)
	running := c != nil && c.State == runtime.Running
	r.mu.Unlock()
	if !running {
		return 0, fmt.Errorf("exec in container %s: %w", id, runtime.ErrNotFound)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- r.command(ctx, uid, id, command, discarding(s)) }()
	select {
	case got := <-done:
		return got.code, got.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-c.exited:
		return 137, nil
	}
}

type result struct {
	code int
	err  error
}

func discarding(s runtime.Streams) runtime.Streams {
	if s.Stdin == nil {
		s.Stdin = strings.NewReader("")
	}
	if s.Stdout == nil {
		s.Stdout = io.Discard
	}
	if s.Stderr == nil {
		s.Stderr = io.Discard
	}
	return s
}

func (r *Runtime) command(ctx context.Context, uid, id string, command []string, s runtime.Streams) result {
	args := append(command[1:], "", "", "")
	number := func(i int) int { n, _ := strconv.Atoi(args[i]); return n }
	switch command[0] {
	case "cat":
		_, err := io.Copy(s.Stdout, s.Stdin)
		return result{err: err}
	case "both":
		_, err := fmt.Fprintln(s.Stdout, args[0])
		if err == nil {
			_, err = fmt.Fprintln(s.Stderr, args[1])
		}
		return result{number(2), err}
	case "pour":
		_, err := io.Copy(s.Stdout, strings.NewReader(strings.Repeat("0123456789abcde\n", 64*number(0))))
		return result{err: err}
	case "size":
		return result{err: sizes(ctx, s)}
	}
	out, code, err := r.Exec(ctx, uid, id, command)
	if err == nil {
		_, err = s.Stdout.Write(out)
	}
	return result{code, err}
}

// sizes answers each line with the newest size.
func sizes(ctx context.Context, s runtime.Streams) error {
	var mu sync.Mutex
	var size runtime.Size
	known := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-ctx.Done():
				return
			case next, ok := <-s.Resize:
				if !ok {
					return
				}
				mu.Lock()
				size = next
				mu.Unlock()
				if first {
					close(known)
				}
			}
		}
	}()
	lines := bufio.NewScanner(s.Stdin)
	for lines.Scan() {
		select {
		case <-known:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		mu.Lock()
		_, err := fmt.Fprintf(s.Stdout, "%d %d\n", size.Height, size.Width)
		mu.Unlock()
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// EndCommands implements runtime.Runtime.
func (r *Runtime) EndCommands(context.Context) error { return nil }

// Listen has serve answer on a pod's port.
func (r *Runtime) Listen(uid string, port uint16, serve func(net.Conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ports[portKey{uid, port}] = serve
}

type portKey struct {
	uid  string
	port uint16
}

// Dial implements runtime.Runtime.
func (r *Runtime) Dial(_ context.Context, uid string, port uint16) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.pods[uid]; !ok {
		return nil, fmt.Errorf("sandbox %s: %w", uid, runtime.ErrNotFound)
	}
	serve, ok := r.ports[portKey{uid, port}]
	if !ok {
		return nil, fmt.Errorf("dial tcp4 127.0.0.1:%d: connect: %w", port, syscall.ECONNREFUSED)
	}
	here, there := net.Pipe()
	go serve(there)
	return here, nil
}
