package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"github.com/musterhq/muster/agent/runtime"
)

// How long to wait for the output of a command that has ended, which a child of
// it may hold open, and for tidying up.
const (
	drainTimeout = time.Second
	tidyTimeout  = 10 * time.Second
)

// running is a command and its streams.
type running struct {
	streams runtime.Streams
	once    sync.Once
	begun   chan struct{}  // closed when the process runs, or never will
	process client.Process // nil if it never will
	out     []*output
}

func (c *running) begin(p client.Process) {
	c.once.Do(func() {
		c.process = p
		close(c.begun)
	})
}

// opts wires the streams. Standard output and error need a writer each, or one
// of them is lost.
func (c *running) opts(dir string) []cio.Opt {
	writer := func(w io.Writer) io.Writer {
		if w == nil {
			w = io.Discard
		}
		o := &output{w: w}
		c.out = append(c.out, o)
		return o
	}
	var in io.Reader
	if c.streams.Stdin != nil {
		in = &input{c}
	}
	opts := []cio.Opt{cio.WithFIFODir(dir)}
	if c.streams.TTY {
		return append(opts, cio.WithStreams(in, writer(c.streams.Stdout), nil), cio.WithTerminal)
	}
	return append(opts, cio.WithStreams(in, writer(c.streams.Stdout), writer(c.streams.Stderr)))
}

// finish starts the process, waits for its end, or kills it when ctx ends, and
// leaves nothing of it behind.
func (c *running) finish(ctx context.Context, p client.Process) (code int, err error) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	// The end of a process that is killed is waited for, too.
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	exited, err := p.Wait(waiting)
	if err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		p.IO().Cancel()
		return 0, c.tidy(tidy, p, err)
	}
	c.begin(p)
	var group sync.WaitGroup
	ended, end := context.WithCancel(ctx)
	group.Go(func() { c.resize(ended) })
	select {
	case status := <-exited:
		end()
		group.Wait()
		c.drain(ctx)
		code, err = int(status.ExitCode()), status.Error()
	case <-ctx.Done():
		end()
		group.Wait()
		err = c.kill(tidy, exited)
		if err == nil {
			err = ctx.Err()
		}
	}
	return code, c.tidy(context.WithoutCancel(tidy), p, err)
}

// tidy forgets the process. The output comes first: deleting it closes its pipes.
func (c *running) tidy(ctx context.Context, p client.Process, err error) error {
	ctx, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	p.IO().Wait()
	if _, deleteErr := p.Delete(ctx, client.WithProcessKill); deleteErr != nil && !errdefs.IsNotFound(deleteErr) && err == nil {
		return fmt.Errorf("tidy up: %w", deleteErr)
	}
	return err
}

func (c *running) kill(tidy context.Context, exited <-chan client.ExitStatus) error {
	killGroup(c.process.Pid())
	if err := c.process.Kill(tidy, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("kill: %w", err)
	}
	select {
	case <-exited:
	case <-tidy.Done():
	}
	c.process.IO().Cancel()
	return nil
}

// drain waits until the output has ended, or does not flow any more although
// whoever reads it could take more: a child of the command holds it open.
func (c *running) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.process.IO().Wait()
	}()
	defer func() { <-done }()
	tick := time.NewTicker(drainTimeout / 10)
	defer tick.Stop()
	quiet := time.Now()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			c.process.IO().Cancel()
			return
		case now := <-tick.C:
			for _, o := range c.out {
				if o.moved() {
					quiet = now
				}
			}
			if now.Sub(quiet) > drainTimeout {
				c.process.IO().Cancel()
				return
			}
		}
	}
}

func (c *running) resize(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-c.streams.Resize:
			if !ok {
				return
			}
			// A size that does not take, as of a process just gone, does no harm.
			_ = c.process.Resize(ctx, uint32(size.Width), uint32(size.Height))
		}
	}
}

// input is a command's standard input, whose end closes the shim's side, too.
type input struct{ *running }

func (i *input) Read(b []byte) (int, error) {
	<-i.begun
	if i.process == nil {
		return 0, io.EOF
	}
	n, err := i.streams.Stdin.Read(b)
	// A terminal whose input ends is hung up: whoever left it ends the command.
	if errors.Is(err, io.EOF) && !i.streams.TTY {
		ctx, cancel := context.WithTimeout(context.Background(), tidyTimeout)
		defer cancel()
		_ = i.process.CloseIO(ctx, client.WithStdinCloser) // Of a process just gone.
	}
	return n, err
}

// output passes a stream on and remembers whether it flows.
type output struct {
	w       io.Writer
	mu      sync.Mutex
	writing bool
	count   int
	seen    int
}

func (o *output) Write(b []byte) (int, error) {
	o.mark(true)
	defer o.mark(false)
	return o.w.Write(b)
}

func (o *output) mark(writing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = writing
	o.count++
}

// moved tells whether anything was written since the last call, or is being.
func (o *output) moved() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.seen
	o.seen = o.count
	return o.writing || o.count != was
}

// head keeps the beginning of an output.
type head struct {
	mu   sync.Mutex
	left int
	buf  bytes.Buffer
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.buf.Bytes())
}

func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(b), h.left)
	h.left -= n
	h.buf.Write(b[:n])
	return len(b), nil
}
