package fake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/musterhq/muster/agent/runtime"
)

// imageSize is that of every image.
const imageSize = 1 << 20

// SetPullTime is how long each pull takes.
func (r *Runtime) SetPullTime(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pullTime = d
}

// SetDisk is how large the file system of the images is, on which is nothing
// else; each image takes 1 MiB.
func (r *Runtime) SetDisk(capacity int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disk = capacity
}

// Pulls counts the pulls, also those that failed.
func (r *Runtime) Pulls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulls
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
	img := runtime.Image{Ref: name, ID: digest, RepoDigest: repository + "@" + digest, Size: imageSize}
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

// Images implements runtime.Runtime.
func (r *Runtime) Images(context.Context) ([]runtime.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.images), func(a, b runtime.Image) int { return strings.Compare(a.Ref, b.Ref) }), nil
}

// RemoveImage implements runtime.Runtime.
func (r *Runtime) RemoveImage(_ context.Context, ref string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.images, normal(ref))
	return nil
}

// ImageDisk implements runtime.Runtime.
func (r *Runtime) ImageDisk(context.Context) (runtime.Disk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return runtime.Disk{Capacity: r.disk, Available: r.disk - int64(len(r.images))*imageSize}, nil
}
