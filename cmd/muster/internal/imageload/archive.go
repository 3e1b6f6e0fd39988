package imageload

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
