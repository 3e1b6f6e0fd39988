package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"github.com/musterhq/muster/agent/runtime"
)

// runcRuntime is the shim that every container runs under.
const runcRuntime = "io.containerd.runc.v2"

// startErrorCode is the exit code that Kubernetes gives a container that could not be started.
const startErrorCode = 128

// CreateAndStart implements runtime.Runtime.
func (r *Runtime) CreateAndStart(ctx context.Context, podUID string, c runtime.ContainerConfig) (runtime.Container, error) {
	defer r.locks.lock(podUID)()
	ctx = r.context(ctx)
	sandbox, err := r.readRecord(podUID)
	if err != nil {
		return runtime.Container{}, err
	}
	id := containerID(podUID, c.Name, c.Attempt)
	r.owners.set(id, podUID)
	if old, err := r.client.LoadContainer(ctx, id); err == nil {
		state, err := r.inspect(ctx, podUID, old)
		if err != nil || state.State != runtime.Created {
			return state, err
		}
		if err := r.remove(ctx, podUID, old); err != nil {
			return runtime.Container{}, err
		}
	} else if !errdefs.IsNotFound(err) {
		return runtime.Container{}, fmt.Errorf("look for container %s: %w", c.Name, err)
	}
	ctr, err := r.create(ctx, sandbox, id, c)
	if err != nil {
		return runtime.Container{}, fmt.Errorf("create container %s: %w", c.Name, err)
	}
	return r.start(ctx, podUID, ctr, c)
}

func (r *Runtime) create(ctx context.Context, s sandboxRecord, id string, c runtime.ContainerConfig) (client.Container, error) {
	img, err := r.client.GetImage(ctx, c.Image.Ref)
	if err != nil {
		return nil, err
	}
	specOpts, err := r.specOpts(s, id, c, img)
	if err != nil {
		return nil, err
	}
	// An interrupted call may have left a snapshot that nothing refers to.
	err = r.client.SnapshotService(r.cfg.Snapshotter).Remove(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("remove stale snapshot: %w", err)
	}
	signal := c.StopSignal
	if signal == "" {
		signal = "SIGTERM"
	}
	labels := containerLabels(s, c)
	runtimeOptions, err := r.prepareConsole(s.PodUID, id, c)
	if err != nil {
		return nil, err
	}
	opts := []client.NewContainerOpts{
		client.WithImage(img),
		client.WithSnapshotter(r.cfg.Snapshotter),
		client.WithNewSnapshot(id, img),
		client.WithRuntime(runcRuntime, runtimeOptions),
		client.WithContainerLabels(labels),
		client.WithNewSpec(specOpts...),
	}
	if c.StopSignal == "" {
		opts = append(opts, client.WithImageStopSignal(img, signal))
	} else {
		labels[labelStopSignal] = signal
	}
	if err := os.MkdirAll(r.recordsDir(s.PodUID), 0o700); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(c.LogPath), 0o755); err != nil {
		return nil, err
	}
	return r.client.NewContainer(ctx, id, opts...)
}

// start makes the task. What runc cannot start has exited with code 128, as in
// Kubernetes; only trouble with containerd itself is an error.
func (r *Runtime) start(ctx context.Context, podUID string, ctr client.Container, c runtime.ContainerConfig) (runtime.Container, error) {
	rec := exitRecord{StartedAt: time.Now()}
	task, err := ctr.NewTask(ctx, r.taskIO(podUID, ctr.ID(), c))
	if err == nil {
		// Taken before the start: a short process may have ended right after it.
		rec.StartedAt = time.Now()
		if err = task.Start(ctx); err == nil {
			if err := r.writeExit(podUID, ctr.ID(), rec); err != nil {
				return runtime.Container{}, err
			}
			return r.inspect(ctx, podUID, ctr)
		}
		err = errors.Join(err, deleteTask(ctx, task))
	} else {
		err = fmt.Errorf("failed to create containerd task: %w", err)
	}
	if ctx.Err() != nil || errdefs.IsUnavailable(err) {
		return runtime.Container{}, fmt.Errorf("start container %s: %w", c.Name, err)
	}
	rec.FinishedAt, rec.ExitCode, rec.Err = time.Now(), startErrorCode, startMessage(err)
	if err := r.writeExit(podUID, ctr.ID(), rec); err != nil {
		return runtime.Container{}, err
	}
	return r.inspect(ctx, podUID, ctr)
}

// startMessage is runc's, as containerd's own CRI words it, in one line.
func startMessage(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", " ")
}

// Stop implements runtime.Runtime. It holds no lock while it waits.
func (r *Runtime) Stop(ctx context.Context, podUID, containerID string, grace time.Duration) error {
	ctx = r.context(ctx)
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop container %s: %w", containerID, err)
	}
	if err := r.stopTask(ctx, ctr, grace); err != nil {
		return fmt.Errorf("stop container %s: %w", containerID, err)
	}
	defer r.locks.lock(podUID)()
	_, err = r.inspect(ctx, podUID, ctr)
	return err
}

func (r *Runtime) stopTask(ctx context.Context, ctr client.Container, grace time.Duration) error {
	task, err := ctr.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	exited, err := task.Wait(waitCtx)
	if err != nil {
		return err
	}
	signal, err := client.GetStopSignal(ctx, ctr, syscall.SIGTERM)
	if err != nil {
		return err
	}
	if grace > 0 {
		if err := task.Kill(ctx, signal); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case status := <-exited:
			return status.Error()
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	if err := task.Kill(ctx, syscall.SIGKILL, client.WithKillAll); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	select {
	case status := <-exited:
		return status.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(ctx context.Context, podUID, containerID string) error {
	defer r.locks.lock(podUID)()
	ctx = r.context(ctx)
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove container %s: %w", containerID, err)
	}
	return r.remove(ctx, podUID, ctr)
}

func (r *Runtime) remove(ctx context.Context, podUID string, ctr client.Container) error {
	task, err := ctr.Task(ctx, nil)
	if err == nil {
		err = deleteTask(ctx, task)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete task of container %s: %w", ctr.ID(), err)
	}
	if err := ctr.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", ctr.ID(), err)
	}
	r.owners.forget(ctr.ID())
	if err := os.RemoveAll(r.consoleDir(podUID, ctr.ID())); err != nil {
		return err
	}
	if err := os.Remove(r.exitPath(podUID, ctr.ID())); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// deleteTask kills what still runs.
func deleteTask(ctx context.Context, task client.Task) error {
	_, err := task.Delete(ctx, client.WithProcessKill)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

func (r *Runtime) removeContainers(ctx context.Context, podUID string) error {
	ctrs, err := r.client.Containers(ctx, fmt.Sprintf("labels.%q==%q", labelPodUID, podUID))
	if err != nil {
		return err
	}
	for _, ctr := range ctrs {
		if err := r.remove(ctx, podUID, ctr); err != nil {
			return err
		}
	}
	return nil
}
