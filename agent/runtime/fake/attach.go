package fake

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/musterhq/muster/agent/runtime"
)

// console is where others attach to a container.
type console struct {
	in     *io.PipeReader
	feed   *io.PipeWriter
	resize chan runtime.Size

	mu       sync.Mutex
	attached map[*runtime.Streams]struct{}
}

func newConsole(stdin bool) *console {
	c := &console{resize: make(chan runtime.Size, 1), attached: map[*runtime.Streams]struct{}{}}
	c.in, c.feed = io.Pipe()
	if !stdin {
		_ = c.feed.Close()
	}
	return c
}

// Write hands output to all who are attached.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.attached {
		if s.Stdout != nil {
			_, _ = s.Stdout.Write(b)
		}
	}
	return len(b), nil
}

// interact runs a program that talks to whoever attaches.
func (r *Runtime) interact(c *container, words []string) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		<-c.exited
		_ = c.console.in.Close()
	}()
	go func() {
		got := r.command(ctx, c.uid, c.ID, words, runtime.Streams{Stdin: c.console.in, Stdout: c.console, Stderr: c.console, Resize: c.console.resize})
		r.mu.Lock()
		defer r.mu.Unlock()
		r.exit(c, got.code, false)
	}()
}

// Attach implements runtime.Runtime.
func (r *Runtime) Attach(ctx context.Context, uid, id string, s runtime.Streams) error {
	r.mu.Lock()
	c := r.find(uid, id)
	running := c != nil && c.State == runtime.Running
	r.mu.Unlock()
	if !running {
		return fmt.Errorf("attach to container %s: %w", id, runtime.ErrNotFound)
	}
	c.console.mu.Lock()
	c.console.attached[&s] = struct{}{}
	c.console.mu.Unlock()
	defer func() {
		c.console.mu.Lock()
		defer c.console.mu.Unlock()
		delete(c.console.attached, &s)
	}()
	detached := make(chan struct{})
	if s.Stdin != nil && c.cfg.Stdin {
		go func() {
			_, err := io.Copy(c.console.feed, s.Stdin)
			switch {
			case err == nil && c.cfg.StdinOnce && !c.cfg.TTY:
				_ = c.console.feed.Close()
			case err == nil:
				close(detached)
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.exited:
			return nil
		case <-detached:
			return nil
		case size, ok := <-s.Resize:
			if !ok {
				s.Resize = nil
				continue
			}
			select {
			case <-c.console.resize:
			default:
			}
			c.console.resize <- size
		}
	}
}
