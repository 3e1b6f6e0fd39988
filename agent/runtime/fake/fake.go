// Package fake is a container runtime without containers, for virtual time. Its
// images hold a few programs: "sleep N" ends after N seconds, "exit N" at once
// with that code, "serve" runs until SIGTERM, "ignore-term" until SIGKILL,
// "print WORDS" writes a line and ends, "eat-memory" is killed for memory when
// there is a limit. Any other cannot be found.
package fake

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/distribution/reference"

	"github.com/musterhq/muster/agent/runtime"
)

// Runtime implements runtime.Runtime. It outlives the agent that uses it, as
// containers do.
type Runtime struct {
	mu       sync.Mutex
	pods     map[string]*pod
	images   map[string]runtime.Image
	registry map[string]bool
	pulls    int
	pullTime time.Duration
	disk     int64
	ready    bool
	watchers map[chan runtime.Event]struct{}
	ports    map[portKey]func(net.Conn)
}

type pod struct {
	sandbox    runtime.Sandbox
	containers []*container
	resizes    []Resize
}

type container struct {
	runtime.Container
	cfg    runtime.ContainerConfig
	uid    string
	timer  *time.Timer
	exited chan struct{}
	memory int64 // bytes in use
	// console is where others attach.
	console *console
}

var _ runtime.Runtime = (*Runtime)(nil)

// New makes a node with the images that a registry holds; none is present yet.
func New(registry ...string) *Runtime {
	r := &Runtime{
		pods: map[string]*pod{}, images: map[string]runtime.Image{},
		registry: map[string]bool{}, disk: 1 << 40, watchers: map[chan runtime.Event]struct{}{},
		ports: map[portKey]func(net.Conn){},
	}
	r.Publish(registry...)
	return r
}

// Publish adds images to the registry.
func (r *Runtime) Publish(refs ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ref := range refs {
		r.registry[normal(ref)] = true
	}
}

func normal(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return named.String()
}

// Version implements runtime.Runtime.
func (r *Runtime) Version(context.Context) (string, error) { return "fake://1.0.0", nil }

// Pods implements runtime.Runtime.
func (r *Runtime) Pods(context.Context) ([]runtime.Pod, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []runtime.Pod
	for _, p := range r.pods {
		out = append(out, p.snapshot())
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Sandbox.CreatedAt.Before(out[j].Sandbox.CreatedAt) })
	return out, nil
}

// Pod implements runtime.Runtime.
func (r *Runtime) Pod(_ context.Context, uid string) (runtime.Pod, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pods[uid]
	if !ok {
		return runtime.Pod{}, fmt.Errorf("pod %s: %w", uid, runtime.ErrNotFound)
	}
	return p.snapshot(), nil
}

func (p *pod) snapshot() runtime.Pod {
	out := runtime.Pod{Sandbox: p.sandbox}
	for _, c := range p.containers {
		out.Containers = append(out.Containers, c.Container)
	}
	return out
}

// EnsureSandbox implements runtime.Runtime.
func (r *Runtime) EnsureSandbox(_ context.Context, s runtime.SandboxConfig) (runtime.Sandbox, error) {
	if s.Handler != "" && s.Handler != "runc" {
		return runtime.Sandbox{}, fmt.Errorf("failed to get sandbox runtime: no runtime for %q is configured", s.Handler)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.pods[s.PodUID]; ok {
		return p.sandbox, nil
	}
	p := &pod{sandbox: runtime.Sandbox{
		PodUID: s.PodUID, Namespace: s.Namespace, Name: s.Name, CgroupPath: s.CgroupParent + "/pod" + s.PodUID,
		CreatedAt: time.Now(), Annotations: s.Annotations, Resources: s.Resources, Ready: true,
	}}
	if !s.HostNetwork {
		p.sandbox.NetNS = "/fake/" + s.PodUID
	}
	r.pods[s.PodUID] = p
	return p.sandbox, nil
}

// RemoveSandbox implements runtime.Runtime.
func (r *Runtime) RemoveSandbox(_ context.Context, uid string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.pods[uid]; ok {
		for _, c := range p.containers {
			r.exit(c, 137, false)
		}
		delete(r.pods, uid)
	}
	return nil
}

// Events implements runtime.Runtime.
func (r *Runtime) Events(ctx context.Context, yield func(runtime.Event)) error {
	ch := make(chan runtime.Event, 1024)
	r.mu.Lock()
	r.watchers[ch] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, ch)
	}()
	yield(runtime.Event{})
	for {
		select {
		case e := <-ch:
			yield(e)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func writeLog(path, text string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%s stdout F %s\n", time.Now().Format(time.RFC3339Nano), text); err != nil {
		return err
	}
	return f.Close()
}
