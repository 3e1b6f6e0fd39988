package containerd

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
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

// Exec implements runtime.Runtime.
func (r *Runtime) Exec(ctx context.Context, _, containerID string, command []string) ([]byte, int, error) {
	ctx = r.context(ctx)
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if err != nil {
		return nil, 0, execError(containerID, err)
	}
	task, err := ctr.Task(ctx, nil)
	if err != nil {
		return nil, 0, execError(containerID, err)
	}
	spec, err := ctr.Spec(ctx)
	if err != nil {
		return nil, 0, execError(containerID, err)
	}
	process := *spec.Process
	process.Args, process.Terminal = command, false
	out := &head{left: runtime.MaxOutput}
	// Standard output and error need a writer each, or one of them is lost.
	p, err := task.Exec(ctx, "exec-"+rand.Text(), &process, cio.NewCreator(cio.WithStreams(nil, stream{out}, stream{out})))
	if err != nil {
		return nil, 0, execError(containerID, err)
	}
	code, err := finish(ctx, p)
	if err != nil {
		return nil, 0, execError(containerID, err)
	}
	return out.bytes(), code, nil
}

func execError(id string, err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("exec in container %s: %w", id, runtime.ErrNotFound)
	}
	return fmt.Errorf("exec in container %s: %w", id, err)
}

// finish starts the process, waits for its end, or kills it when ctx ends, and
// leaves nothing of it behind.
func finish(ctx context.Context, p client.Process) (code int, err error) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	defer func() {
		// The output comes first: deleting the process closes its pipes.
		timer := time.AfterFunc(drainTimeout, p.IO().Cancel)
		p.IO().Wait()
		timer.Stop()
		if _, deleteErr := p.Delete(tidy, client.WithProcessKill); deleteErr != nil && !errdefs.IsNotFound(deleteErr) && err == nil {
			err = fmt.Errorf("tidy up: %w", deleteErr)
		}
	}()
	// The end of a process that is killed is waited for, too.
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	exited, err := p.Wait(waiting)
	if err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		p.IO().Cancel()
		return 0, err
	}
	select {
	case status := <-exited:
		return int(status.ExitCode()), status.Error()
	case <-ctx.Done():
	}
	if err := p.Kill(tidy, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return 0, fmt.Errorf("kill: %w", err)
	}
	select {
	case <-exited:
	case <-tidy.Done():
	}
	return 0, ctx.Err()
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

// stream is one of the writers into a head.
type stream struct{ *head }

func (s stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(b), s.left)
	s.left -= n
	s.buf.Write(b[:n])
	return len(b), nil
}
