package fake

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// CreateAndStart implements runtime.Runtime.
func (r *Runtime) CreateAndStart(_ context.Context, uid string, cfg runtime.ContainerConfig) (runtime.Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pods[uid]
	if !ok {
		return runtime.Container{}, fmt.Errorf("sandbox %s: %w", uid, runtime.ErrNotFound)
	}
	for _, c := range p.containers {
		if c.Name == cfg.Name && c.Attempt == cfg.Attempt {
			return c.Container, nil
		}
	}
	if _, ok := r.images[cfg.Image.Ref]; !ok {
		return runtime.Container{}, fmt.Errorf("image %s: %w", cfg.Image.Ref, runtime.ErrNotFound)
	}
	now := time.Now()
	c := &container{cfg: cfg, uid: uid, exited: make(chan struct{}), console: newConsole(cfg.Stdin), Container: runtime.Container{
		ID: fmt.Sprintf("%s-%s-%d", uid, cfg.Name, cfg.Attempt), Name: cfg.Name, Attempt: cfg.Attempt,
		State: runtime.Running, Pid: 1000, ImageRef: cfg.Image.Ref, ImageID: cfg.Image.RepoDigest,
		CreatedAt: now, StartedAt: now, Hash: cfg.Hash, LogPath: cfg.LogPath, Requirements: cfg.Requirements,
	}}
	p.containers = append(p.containers, c)
	return c.Container, r.run(c)
}

// run starts the program that the command names.
func (r *Runtime) run(c *container) error {
	words := append(append([]string{}, c.cfg.Command...), c.cfg.Args...)
	if len(words) == 0 {
		words = []string{"serve"}
	}
	number := 0
	if len(words) > 1 {
		number, _ = strconv.Atoi(words[1])
	}
	switch words[0] {
	case "serve", "ignore-term":
	case "cat", "size":
		r.interact(c, words)
	case "sleep":
		r.after(c, time.Duration(number)*time.Second, 0)
	case "exit":
		r.after(c, 0, number)
	case "print":
		r.after(c, 0, 0)
		return writeLog(c.LogPath, strings.Join(words[1:], " "))
	case "eat-memory":
		if c.cfg.Resources.MemoryBytes > 0 {
			c.timer = time.AfterFunc(time.Millisecond, func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.exit(c, 137, true)
			})
		}
	default:
		c.State, c.FinishedAt, c.ExitCode, c.Pid = runtime.Exited, time.Now(), 128, 0
		c.Err = fmt.Sprintf("failed to create containerd task: exec: %q: executable file not found in $PATH", words[0])
		close(c.exited)
	}
	return nil
}

func (r *Runtime) after(c *container, d time.Duration, code int) {
	c.timer = time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.exit(c, code, false)
	})
}

// exit is called with the lock held.
func (r *Runtime) exit(c *container, code int, oom bool) {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.State == runtime.Exited {
		return
	}
	c.State, c.FinishedAt, c.ExitCode, c.OOMKilled, c.Pid = runtime.Exited, time.Now(), code, oom, 0
	close(c.exited)
	for w := range r.watchers {
		w <- runtime.Event{PodUID: c.uid, ContainerID: c.ID}
	}
}

// Exec implements runtime.Runtime. "exit N", "print WORDS" and "sleep N" are
// known, and "ready", which fails until SetReady.
func (r *Runtime) Exec(ctx context.Context, uid, id string, command []string) ([]byte, int, error) {
	r.mu.Lock()
	c := r.find(uid, id)
	if c == nil || c.State != runtime.Running {
		r.mu.Unlock()
		return nil, 0, fmt.Errorf("exec in container %s: %w", id, runtime.ErrNotFound)
	}
	ready := r.ready
	r.mu.Unlock()
	number := 0
	if len(command) > 1 {
		number, _ = strconv.Atoi(command[1])
	}
	switch command[0] {
	case "exit":
		return nil, number, nil
	case "print":
		return []byte(strings.Join(command[1:], " ") + "\n"), 0, nil
	case "ready":
		if ready {
			return nil, 0, nil
		}
		return []byte("not ready\n"), 1, nil
	case "sleep":
		select {
		case <-time.After(time.Duration(number) * time.Second):
			return nil, 0, nil
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	return nil, 0, fmt.Errorf("exec in container %s: exec: %q: executable file not found in $PATH", id, command[0])
}

// SetReady decides how "ready" answers from now on.
func (r *Runtime) SetReady(ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = ready
}

// Kill ends a running container as a crash would, with the given code.
func (r *Runtime) Kill(uid, name string, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.pods[uid]; ok {
		for _, c := range p.containers {
			if c.Name == name {
				r.exit(c, code, false)
			}
		}
	}
}

func (r *Runtime) find(uid, id string) *container {
	if p, ok := r.pods[uid]; ok {
		for _, c := range p.containers {
			if c.ID == id {
				return c
			}
		}
	}
	return nil
}

// Stop implements runtime.Runtime.
func (r *Runtime) Stop(ctx context.Context, uid, id string, grace time.Duration) error {
	r.mu.Lock()
	c := r.find(uid, id)
	if c == nil || c.State == runtime.Exited {
		r.mu.Unlock()
		return nil
	}
	deaf := len(c.cfg.Command) > 0 && (c.cfg.Command[0] == "ignore-term" || c.cfg.Command[0] == "sleep")
	if !deaf && grace > 0 {
		r.exit(c, 143, false)
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exit(c, 137, false)
	return nil
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(_ context.Context, uid, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pods[uid]
	if !ok {
		return nil
	}
	for i, c := range p.containers {
		if c.ID == id {
			r.exit(c, 137, false)
			p.containers = append(p.containers[:i], p.containers[i+1:]...)
			return nil
		}
	}
	return nil
}
