package containerd

import (
	"context"
	"fmt"
	"path"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"github.com/musterhq/muster/agent/runtime"
)

// Resize implements runtime.Runtime. The label comes after the limits: a call that
// was interrupted between the two is seen as not made, and repeated.
func (r *Runtime) Resize(ctx context.Context, podUID, containerID string, res runtime.Resources, requirements string) error {
	defer r.locks.lock(podUID)()
	ctx = r.context(ctx)
	ctr, err := r.client.LoadContainer(ctx, containerID)
	if err != nil {
		return resizeError(containerID, err)
	}
	task, err := ctr.Task(ctx, nil)
	if err != nil {
		return resizeError(containerID, err)
	}
	limits := linuxResources(res)
	if limits.Memory != nil {
		// With version 2 of cgroups the kernel would kill to get below a new limit.
		check := true
		limits.Memory.CheckBeforeUpdate = &check
	}
	if err := task.Update(ctx, client.WithResources(limits)); err != nil {
		return resizeError(containerID, err)
	}
	if _, err := ctr.SetLabels(ctx, map[string]string{labelRequirements: requirements}); err != nil {
		return fmt.Errorf("resize container %s: note it: %w", containerID, err)
	}
	return nil
}

func resizeError(id string, err error) error {
	if errdefs.IsNotFound(err) {
		err = runtime.ErrNotFound
	}
	return fmt.Errorf("resize container %s: %w", id, err)
}

// ResizeSandbox implements runtime.Runtime.
func (r *Runtime) ResizeSandbox(_ context.Context, podUID string, res runtime.Resources) error {
	defer r.locks.lock(podUID)()
	rec, err := r.readRecord(podUID)
	if err != nil {
		return err
	}
	if err := updateCgroup(rec.CgroupPath, res); err != nil {
		return fmt.Errorf("resize cgroup %s: %w", rec.CgroupPath, err)
	}
	rec.Resources = res
	return r.writeRecord(rec)
}

func updateCgroup(name string, r runtime.Resources) error {
	res := linuxResources(r)
	if unified() {
		group, err := cgroup2.Load(name)
		if err != nil {
			return err
		}
		return group.Update(cgroup2.ToResources(res))
	}
	group, err := cgroup1.Load(cgroup1.StaticPath(name))
	if err != nil {
		return err
	}
	return group.Update(res)
}

// Usage implements runtime.Runtime.
func (r *Runtime) Usage(ctx context.Context, podUID string) (pod runtime.Usage, containers map[string]runtime.Usage, err error) {
	defer r.locks.lock(podUID)()
	rec, err := r.readRecord(podUID)
	if err != nil {
		return pod, nil, err
	}
	if pod, err = usage(rec.CgroupPath); err != nil {
		return pod, nil, fmt.Errorf("measure pod %s: %w", podUID, err)
	}
	ctrs, err := r.client.Containers(r.context(ctx), fmt.Sprintf("labels.%q==%q", labelPodUID, podUID))
	if err != nil {
		return pod, nil, fmt.Errorf("list containers of pod %s: %w", podUID, err)
	}
	containers = map[string]runtime.Usage{}
	for _, c := range ctrs {
		// One that does not run has no cgroup, and uses nothing.
		if used, err := usage(path.Join(rec.CgroupPath, c.ID())); err == nil {
			containers[c.ID()] = used
		}
	}
	return pod, containers, nil
}
