// Package imageload puts images from an archive into the cluster's own registry.
package imageload

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Annotations by which an OCI archive names its images; containerd's names are
// whole, the specification's may be only a tag.
const (
	containerdName = "io.containerd.image.name"
	ociName        = "org.opencontainers.image.ref.name"
)

// Image is one of an archive.
type Image struct {
	// Reference is whole, e.g. docker.io/library/busybox:latest.
	Reference name.Tag
	Image     v1.Image
}

// Open reads an OCI or docker archive. The images read from it until cleanup.
func Open(path string) (images []Image, cleanup func(), err error) {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("open image archive: %w", err)
	}
	// What `docker save` of today writes is both; its docker half has the names.
	if err == nil && len(manifest) > 0 {
		images, err = dockerImages(path, manifest)
		return images, func() {}, err
	}
	dir, err := os.MkdirTemp("", "muster-image-")
	if err != nil {
		return nil, nil, fmt.Errorf("open image archive: %w", err)
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	if images, err = ociImages(path, dir); err != nil {
		cleanup()
		return nil, nil, fmt.Errorf("%s is neither an OCI nor a docker archive: %w", path, err)
	}
	return images, cleanup, nil
}

func dockerImages(path string, manifest tarball.Manifest) ([]Image, error) {
	var out []Image
	for _, entry := range manifest {
		for _, repoTag := range entry.RepoTags {
			tag, err := parseTag(repoTag)
			if err != nil {
				return nil, err
			}
			original, err := name.NewTag(repoTag)
			if err != nil {
				return nil, fmt.Errorf("image name %q: %w", repoTag, err)
			}
			image, err := tarball.ImageFromPath(path, &original)
			if err != nil {
				return nil, fmt.Errorf("read image %s: %w", repoTag, err)
			}
			out = append(out, Image{Reference: tag, Image: image})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: its images have no name; save them by name, not by ID", path)
	}
	return out, nil
}

func ociImages(path, dir string) ([]Image, error) {
	if err := extract(path, dir); err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var out []Image
	for _, descriptor := range manifest.Manifests {
		text := descriptor.Annotations[containerdName]
		if text == "" {
			text = descriptor.Annotations[ociName]
		}
		if text == "" || !descriptor.MediaType.IsImage() {
			continue
		}
		tag, err := parseTag(text)
		if err != nil {
			return nil, err
		}
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			return nil, fmt.Errorf("read image %s: %w", text, err)
		}
		out = append(out, Image{Reference: tag, Image: image})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no image in it is named by the annotation %s or %s", containerdName, ociName)
	}
	return out, nil
}

// parseTag reads a name as container tools do: without a registry it is Docker
// Hub's, known as docker.io.
func parseTag(text string) (name.Tag, error) {
	tag, err := name.NewTag(text)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image name %q: %w", text, err)
	}
	return tag, nil
}

// repository is the name in the cluster's registry: the image's own, registry
// and all.
func repository(tag name.Tag) string {
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + tag.RepositoryStr()
}

func extract(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		target := filepath.Clean(header.Name)
		if err := root.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := writeFile(root, target, archive); err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, path string, content io.Reader) error {
	f, err := root.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Target is a server that images are pushed to.
type Target struct {
	Name   string
	Client *http.Client
	// URL of its Kubernetes address, https://host:port.
	URL string
}

// Push puts an image into one server's registry. Layers it has are not sent.
func (t Target) Push(ctx context.Context, image Image) error {
	if err := t.push(ctx, image); err != nil {
		return fmt.Errorf("push %s to %s: %w", image.Reference, t.Name, err)
	}
	return nil
}

func (t Target) push(ctx context.Context, image Image) error {
	repo := repository(image.Reference)
	layers, err := image.Image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		size, err := layer.Size()
		if err != nil {
			return err
		}
		if err := t.blob(ctx, repo, digest, size, layer.Compressed); err != nil {
			return err
		}
	}
	config, err := image.Image.RawConfigFile()
	if err != nil {
		return err
	}
	digest, err := image.Image.ConfigName()
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(config)), nil }
	if err := t.blob(ctx, repo, digest, int64(len(config)), open); err != nil {
		return err
	}
	return t.manifest(ctx, repo, image)
}

func (t Target) blob(ctx context.Context, repo string, digest v1.Hash, size int64, open func() (io.ReadCloser, error)) error {
	// The server must have the blob itself: it may not outlive the others.
	response, err := t.do(ctx, http.MethodHead, "/v2/"+repo+"/blobs/"+digest.String(), nil, 0, map[string]string{"Muster-Local": "1"})
	if err != nil {
		return err
	}
	if response.status == http.StatusOK {
		return nil
	}
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	response, err = t.do(ctx, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digest.String(), content, size,
		map[string]string{"Content-Type": "application/octet-stream"})
	if err != nil {
		return err
	}
	return response.expect(http.StatusCreated)
}

func (t Target) manifest(ctx context.Context, repo string, image Image) error {
	content, err := image.Image.RawManifest()
	if err != nil {
		return err
	}
	mediaType, err := image.Image.MediaType()
	if err != nil {
		return err
	}
	response, err := t.do(ctx, http.MethodPut, "/v2/"+repo+"/manifests/"+image.Reference.TagStr(), bytes.NewReader(content), int64(len(content)),
		map[string]string{"Content-Type": string(mediaType)})
	if err != nil {
		return err
	}
	return response.expect(http.StatusCreated)
}

// answer is a response whose short body was read.
type answer struct {
	request string
	status  int
	body    string
}

func (a *answer) expect(status int) error {
	if a.status == status {
		return nil
	}
	return fmt.Errorf("%s: %d %s: %s", a.request, a.status, http.StatusText(a.status), strings.TrimSpace(a.body))
}

func (t Target) do(ctx context.Context, method, path string, body io.Reader, size int64, headers map[string]string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, t.URL+path, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	response, err := t.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	return &answer{request: method + " " + request.URL.Path, status: response.StatusCode, body: string(content)}, nil
}

// Load pushes all images of an archive to all servers and tells what it does. A
// server that does not answer fetches the image from the others when it is
// asked for it; only when none took it has the load failed.
func Load(ctx context.Context, path string, targets []Target, out io.Writer) error {
	images, cleanup, err := Open(path)
	if err != nil {
		return err
	}
	defer cleanup()
	for _, image := range images {
		var failures []error
		for _, target := range targets {
			if err := target.Push(ctx, image); err != nil {
				failures = append(failures, err)
				_, _ = fmt.Fprintf(out, "%s: %s does not take it: %v\n", display(image), target.Name, err)
			}
		}
		if len(failures) == len(targets) {
			return fmt.Errorf("load %s: no server took it: %w", display(image), errors.Join(failures...))
		}
		_, _ = fmt.Fprintf(out, "%s is on %d of %d servers\n", display(image), len(targets)-len(failures), len(targets))
	}
	return nil
}

func display(image Image) string { return repository(image.Reference) + ":" + image.Reference.TagStr() }
