package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/logs/console"
	"github.com/musterhq/muster/agent/logs/writer"
	"github.com/musterhq/muster/agent/runtime"
)

// stdinAnnotation tells stdinScript which named pipe a container reads.
const stdinAnnotation = "muster.io/stdin"

// stdinScript stands in for runc where a container has input and no terminal:
// containerd's shim, which starts a log writer for the output, gives such a
// container no input. runc hands its own on to what it creates.
const stdinScript = `#!/bin/sh
# Made by muster agent.
bundle= previous=
for argument; do
	[ "$previous" = --bundle ] && bundle=$argument
	previous=$argument
done
case " $* " in
*" create "*)
	pipe=$(sed -n 's|.*"` + stdinAnnotation + `":"\([^"]*\)".*|\1|p' "$bundle/config.json")
	exec runc "$@" <"$pipe"
	;;
esac
exec runc "$@"
`

func (r *Runtime) consoleDir(podUID, id string) string {
	return filepath.Join(r.recordsDir(podUID), id+".console")
}

// prepareConsole makes the directory where others attach to a container, and
// returns what its shim has to know, if anything.
func (r *Runtime) prepareConsole(podUID, id string, c runtime.ContainerConfig) (any, error) {
	dir := r.consoleDir(podUID, id)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if !c.Stdin {
		return nil, nil
	}
	if err := unix.Mkfifo(filepath.Join(dir, console.Stdin), 0o600); err != nil {
		return nil, fmt.Errorf("make the container's input: %w", err)
	}
	if c.TTY {
		return nil, nil
	}
	script := filepath.Join(r.cfg.StateDir, "runc-stdin")
	if err := os.WriteFile(script+".new", []byte(stdinScript), 0o700); err != nil {
		return nil, err
	}
	return &options.Options{BinaryName: script}, os.Rename(script+".new", script)
}

// taskIO has the shim start the log writer, and read a terminal's input.
func (r *Runtime) taskIO(podUID, id string, c runtime.ContainerConfig) cio.Creator {
	dir := r.consoleDir(podUID, id)
	arg := writer.Config{Path: c.LogPath, Console: dir}.Arg()
	uri := url.URL{Scheme: "binary", Path: r.cfg.LogWriter[0], RawQuery: url.Values{r.cfg.LogWriter[1]: {arg}}.Encode()}
	config := cio.Config{Terminal: c.TTY, Stdout: uri.String(), Stderr: uri.String()}
	if c.TTY && c.Stdin {
		config.Stdin = filepath.Join(dir, console.Stdin)
	}
	return func(string) (cio.IO, error) { return shimIO{config}, nil }
}

// shimIO is all the shim's: nothing of it is in this process.
type shimIO struct{ config cio.Config }

func (s shimIO) Config() cio.Config { return s.config }
func (shimIO) Cancel()              {}
func (shimIO) Wait()                {}
func (shimIO) Close() error         { return nil }

// Attach implements runtime.Runtime.
func (r *Runtime) Attach(ctx context.Context, podUID, containerID string, s runtime.Streams) error {
	ctx = r.context(ctx)
	err := r.attach(ctx, podUID, containerID, s)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errdefs.IsNotFound(err), errors.Is(err, syscall.ECONNREFUSED): // The log writer ends with the program.
		return fmt.Errorf("attach to container %s: %w", containerID, runtime.ErrNotFound)
	case err != nil:
		return fmt.Errorf("attach to container %s: %w", containerID, err)
	}
	return nil
}

func (r *Runtime) attach(ctx context.Context, podUID, containerID string, s runtime.Streams) error {
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if err != nil {
		return err
	}
	labels, err := ctr.Labels(ctx)
	if err != nil {
		return err
	}
	task, process, err := r.within(ctx, containerID)
	if err != nil {
		return err
	}
	conn, err := console.Dial(r.consoleDir(podUID, containerID))
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it was started by a version of Muster that could not attach; restart it")
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	exited, err := task.Wait(ctx)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { resizeTask(ctx, task, s.Resize) })
	group.Go(func() { r.reapAfter(ctx, podUID, exited) })
	detached := make(chan struct{})
	if s.Stdin != nil && labels[labelStdin] != "" {
		// It ends when its reader does, which the caller unblocks.
		go func() {
			if feedConsole(conn, s.Stdin, labels[labelStdin] == stdinOnce && !process.Terminal) {
				close(detached)
			}
		}()
	}
	done := make(chan error, 1)
	group.Go(func() { done <- readConsole(conn, s) })
	select {
	case err = <-done:
		return err
	case <-detached:
		return nil
	}
}

// reapAfter ends the output of a program that has ended: the shim holds it open
// until containerd forgets the task.
func (r *Runtime) reapAfter(ctx context.Context, podUID string, exited <-chan client.ExitStatus) {
	select {
	case <-exited:
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout) // Begun, it is finished.
	defer cancel()
	if _, err := r.Pod(ctx, podUID); err != nil && !errors.Is(err, runtime.ErrNotFound) {
		r.cfg.Logger.Warn("look for a container that has ended", "pod", podUID, "error", err)
	}
}

// feedConsole passes input on and tells whether its end is that of the visit: the
// input of a container that has StdinOnce ends instead, but not a terminal's.
func feedConsole(conn net.Conn, stdin io.Reader, once bool) (detach bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && console.Write(conn, console.Input, buf[:n]) != nil {
			return false // The program has ended.
		}
		if err != nil && once {
			_ = console.Write(conn, console.InputEnd, nil)
			return false
		}
		if err != nil {
			return true
		}
	}
}

func readConsole(conn net.Conn, s runtime.Streams) error {
	for {
		kind, data, err := console.Read(conn)
		if errors.Is(err, io.EOF) {
			return nil // The program has ended.
		}
		if err != nil {
			return err
		}
		to := s.Stdout
		if kind == console.Errors {
			to = s.Stderr
		}
		if to == nil {
			continue
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
	}
}

func resizeTask(ctx context.Context, task client.Task, sizes <-chan runtime.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			// One that does not take, as of a program just gone, does no harm.
			_ = task.Resize(ctx, uint32(size.Width), uint32(size.Height))
		}
	}
}
