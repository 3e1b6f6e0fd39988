package containerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/runtime"
)

// Exec implements runtime.Runtime.
func (r *Runtime) Exec(ctx context.Context, _, containerID string, command []string) ([]byte, int, error) {
	out := &head{left: runtime.MaxOutput}
	code, err := r.command(ctx, containerID, command, runtime.Streams{Stdout: out, Stderr: out})
	return out.bytes(), code, err
}

// Stream implements runtime.Runtime.
func (r *Runtime) Stream(ctx context.Context, _, containerID string, command []string, s runtime.Streams) (int, error) {
	return r.command(ctx, containerID, command, s)
}

// command runs a command. Its directory holds its pipes and tells a later agent
// that there was one.
func (r *Runtime) command(ctx context.Context, containerID string, args []string, s runtime.Streams) (code int, err error) {
	ctx = r.context(ctx)
	task, process, err := r.within(ctx, containerID)
	if err != nil {
		return 0, execError(containerID, err)
	}
	process.Args, process.Terminal = args, s.TTY
	if s.TTY {
		process.Env = append(process.Env, "TERM=xterm")
	}
	id := "exec-" + rand.Text()
	dir := filepath.Join(r.commandsDir(), r.run, containerID+"_"+id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	c := &running{streams: s, begun: make(chan struct{})}
	defer c.begin(nil)
	p, err := task.Exec(ctx, id, process, cio.NewCreator(c.opts(dir)...))
	if err != nil {
		return 0, execError(containerID, err)
	}
	code, err = c.finish(ctx, p)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("failed to start exec %q: %w", id, err) // containerd's own words, which kubectl shows.
	}
	if err != nil {
		return 0, execError(containerID, err)
	}
	return code, nil
}

// within returns a container's task and what its processes have in common.
func (r *Runtime) within(ctx context.Context, containerID string) (client.Task, *specs.Process, error) {
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if err != nil {
		return nil, nil, err
	}
	task, err := ctr.Task(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	spec, err := ctr.Spec(ctx)
	if err != nil {
		return nil, nil, err
	}
	process := *spec.Process
	return task, &process, nil
}

func execError(id string, err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("exec in container %s: %w", id, runtime.ErrNotFound)
	}
	return fmt.Errorf("failed to exec in container: %w", err)
}

// commandsDir holds a directory for each agent that ran commands and has not
// ended them all.
func (r *Runtime) commandsDir() string { return filepath.Join(r.cfg.StateDir, "commands") }

// EndCommands implements runtime.Runtime.
func (r *Runtime) EndCommands(ctx context.Context) error {
	ctx = r.context(ctx)
	entries, err := os.ReadDir(r.commandsDir())
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == r.run {
			continue
		}
		if err := r.endRun(ctx, filepath.Join(r.commandsDir(), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// endRun ends the commands of one agent.
func (r *Runtime) endRun(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		container, id, _ := strings.Cut(e.Name(), "_")
		if err := r.endCommand(ctx, container, id); err != nil {
			return fmt.Errorf("end command %s: %w", e.Name(), err)
		}
	}
	return os.RemoveAll(dir)
}

func (r *Runtime) endCommand(ctx context.Context, container, id string) error {
	task, _, err := r.within(ctx, container)
	if err != nil {
		return unlessGone(err)
	}
	p, err := task.LoadProcess(ctx, id, nil)
	if err != nil {
		return unlessGone(err)
	}
	known, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: container, ExecID: id})
	if err != nil {
		return unlessGone(errgrpc.ToNative(err))
	}
	ctx, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	exited, err := p.Wait(ctx)
	if err != nil {
		return unlessGone(err)
	}
	killGroup(known.GetProcess().GetPid())
	if err := p.Kill(ctx, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	select {
	case <-exited:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = p.Delete(ctx)
	return unlessGone(err)
}

func unlessGone(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// killGroup kills what a command started and did not detach: runc makes every
// command the leader of a session, and so of a process group.
func killGroup(pid uint32) {
	if pid > 1 {
		_ = unix.Kill(-int(pid), syscall.SIGKILL) // Gone is as good.
	}
}
