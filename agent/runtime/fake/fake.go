// Package fake is a container runtime without containers, for virtual time. Its
// images hold a few programs: "sleep N" ends after N seconds, "exit N" at once
// with that code, "serve" runs until SIGTERM, "ignore-term" until SIGKILL,
// "print WORDS" writes a line and ends, "eat-memory" is killed for memory when
// there is a limit. Any other cannot be found.
package fake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
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
	ready    bool
	watchers map[chan runtime.Event]struct{}
}

type pod struct {
	sandbox    runtime.Sandbox
	containers []*container
}

type container struct {
	runtime.Container
	cfg    runtime.ContainerConfig
	uid    string
	timer  *time.Timer
	exited chan struct{}
}

var _ runtime.Runtime = (*Runtime)(nil)

// New makes a node with the images that a registry holds; none is present yet.
func New(registry ...string) *Runtime {
	r := &Runtime{
		pods: map[string]*pod{}, images: map[string]runtime.Image{},
		registry: map[string]bool{}, watchers: map[chan runtime.Event]struct{}{},
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

// SetPullTime is how long each pull takes.
func (r *Runtime) SetPullTime(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pullTime = d
}

// Pulls counts the pulls, also those that failed.
func (r *Runtime) Pulls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulls
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.pods[s.PodUID]; ok {
		return p.sandbox, nil
	}
	p := &pod{sandbox: runtime.Sandbox{
		PodUID: s.PodUID, Namespace: s.Namespace, Name: s.Name, CgroupPath: s.CgroupParent + "/pod" + s.PodUID,
		CreatedAt: time.Now(), Annotations: s.Annotations, Ready: true,
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

// Image implements runtime.Runtime.
func (r *Runtime) Image(_ context.Context, ref string) (runtime.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	img, ok := r.images[normal(ref)]
	if !ok {
		return runtime.Image{}, fmt.Errorf("image %s: %w", ref, runtime.ErrNotFound)
	}
	return img, nil
}

// Pull implements runtime.Runtime.
func (r *Runtime) Pull(ctx context.Context, ref string, _ *runtime.RegistryAuth) (runtime.Image, error) {
	r.mu.Lock()
	r.pulls++
	wait := r.pullTime
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return runtime.Image{}, ctx.Err()
	case <-time.After(wait):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := normal(ref)
	if !r.registry[name] {
		return runtime.Image{}, fmt.Errorf("failed to pull and unpack image %q: failed to resolve reference %q: %s: not found", name, name, name)
	}
	return r.add(name), nil
}

func (r *Runtime) add(name string) runtime.Image {
	sum := sha256.Sum256([]byte(name))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	repository := name
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		repository = named.Name()
	}
	img := runtime.Image{Ref: name, ID: digest, RepoDigest: repository + "@" + digest, Size: 1 << 20}
	r.images[name] = img
	return img
}

// ImportImages implements runtime.Runtime; an archive is one reference a line.
func (r *Runtime) ImportImages(_ context.Context, archive io.Reader) ([]runtime.Image, error) {
	b, err := io.ReadAll(archive)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []runtime.Image
	for _, ref := range strings.Fields(string(b)) {
		out = append(out, r.add(normal(ref)))
	}
	return out, nil
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
