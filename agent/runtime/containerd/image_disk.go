package containerd

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/runtime"
)

// Images implements runtime.Runtime. It reads containerd's list of names only:
// the images are neither opened nor measured.
func (r *Runtime) Images(ctx context.Context) ([]runtime.Image, error) {
	list, err := r.client.ImageService().List(r.context(ctx))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	out := make([]runtime.Image, 0, len(list))
	for _, i := range list {
		repository := i.Name
		if named, err := reference.ParseNormalizedNamed(i.Name); err == nil {
			repository = named.Name()
		}
		out = append(out, runtime.Image{Ref: i.Name, RepoDigest: repository + "@" + i.Target.Digest.String()})
	}
	return out, nil
}

// RemoveImage implements runtime.Runtime. It returns when containerd has removed
// the content that nothing refers to any more.
func (r *Runtime) RemoveImage(ctx context.Context, ref string) error {
	err := r.client.ImageService().Delete(r.context(ctx), ref, images.SynchronousDelete())
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

// ImageDisk implements runtime.Runtime: images take the most room where they are
// unpacked.
func (r *Runtime) ImageDisk(ctx context.Context) (runtime.Disk, error) {
	filter := "type==io.containerd.snapshotter.v1,id==" + r.cfg.Snapshotter
	plugins, err := r.client.IntrospectionService().Plugins(r.context(ctx), filter)
	if err != nil {
		return runtime.Disk{}, fmt.Errorf("ask containerd for snapshotter %s: %w", r.cfg.Snapshotter, err)
	}
	for _, p := range plugins.Plugins {
		root := p.Exports["root"]
		if root == "" {
			continue
		}
		var st unix.Statfs_t
		if err := unix.Statfs(root, &st); err != nil {
			return runtime.Disk{}, fmt.Errorf("measure %s: %w", root, err)
		}
		return runtime.Disk{Capacity: int64(st.Blocks) * st.Bsize, Available: int64(st.Bavail) * st.Bsize}, nil
	}
	return runtime.Disk{}, fmt.Errorf("containerd does not say where snapshotter %s keeps its data", r.cfg.Snapshotter)
}
