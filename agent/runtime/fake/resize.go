package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/musterhq/muster/agent/runtime"
)

// Resize is a change of limits that a runtime was asked for.
type Resize struct {
	// Container by its name; empty is the pod as a whole.
	Container string
	Resources runtime.Resources
}

// Resize implements runtime.Runtime. It fails, as runc does, while the container
// uses more memory than it would get.
func (r *Runtime) Resize(_ context.Context, uid, id string, res runtime.Resources, requirements string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.find(uid, id)
	if c == nil || c.State != runtime.Running {
		return fmt.Errorf("resize container %s: %w", id, runtime.ErrNotFound)
	}
	if res.MemoryBytes > 0 && res.MemoryBytes <= c.memory {
		return fmt.Errorf("resize container %s: unable to set memory limit to %d (current usage: %d)", id, res.MemoryBytes, c.memory)
	}
	merge(&c.cfg.Resources, res)
	c.Requirements = requirements
	p := r.pods[uid]
	p.resizes = append(p.resizes, Resize{Container: c.Name, Resources: c.cfg.Resources})
	return nil
}

// ResizeSandbox implements runtime.Runtime.
func (r *Runtime) ResizeSandbox(_ context.Context, uid string, res runtime.Resources) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pods[uid]
	if !ok {
		return fmt.Errorf("sandbox %s: %w", uid, runtime.ErrNotFound)
	}
	merge(&p.sandbox.Resources, res)
	p.resizes = append(p.resizes, Resize{Resources: p.sandbox.Resources})
	return nil
}

// merge changes what the new limits say anything about.
func merge(r *runtime.Resources, by runtime.Resources) {
	if by.CPUShares > 0 {
		r.CPUShares = by.CPUShares
	}
	if by.CPUQuotaUS > 0 {
		r.CPUQuotaUS = by.CPUQuotaUS
	}
	if by.MemoryBytes > 0 {
		r.MemoryBytes = by.MemoryBytes
	}
	if by.PidsLimit > 0 {
		r.PidsLimit = by.PidsLimit
	}
}

// Usage implements runtime.Runtime.
func (r *Runtime) Usage(_ context.Context, uid string) (pod runtime.Usage, containers map[string]runtime.Usage, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pods[uid]
	if !ok {
		return pod, nil, fmt.Errorf("sandbox %s: %w", uid, runtime.ErrNotFound)
	}
	containers = map[string]runtime.Usage{}
	for _, c := range p.containers {
		if c.State == runtime.Running {
			containers[c.ID] = runtime.Usage{Memory: c.memory, WorkingSet: c.memory}
			pod.Memory, pod.WorkingSet = pod.Memory+c.memory, pod.WorkingSet+c.memory
		}
	}
	return pod, containers, nil
}

// Use has a running container use that many bytes of memory from now on.
func (r *Runtime) Use(uid, name string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.pods[uid].containers {
		if c.Name == name {
			c.memory = bytes
		}
	}
}

// Resizes returns what was changed of a pod, oldest first.
func (r *Runtime) Resizes(uid string) []Resize {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pods[uid].resizes)
}

// Limits are those that a pod's container has.
func (r *Runtime) Limits(uid, name string) runtime.Resources {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out runtime.Resources
	for _, c := range r.pods[uid].containers {
		if c.Name == name {
			out = c.cfg.Resources
		}
	}
	return out
}
