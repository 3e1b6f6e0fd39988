// Package imagepack makes an image of a few files, without a container tool.
package imagepack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Spec says what is in the image.
type Spec struct {
	// Name and tag, e.g. jwilder/whoami:latest.
	Name string
	// Base is the archive (tar, or tar.gz) of a root file system that is below what
	// is put in; empty for none.
	Base string
	// Files are "source:/target"; they become executable as their source is.
	Files []string
	// Links are "/link=target".
	Links []string
	// Dirs are made, writable by all as /tmp is.
	Dirs       []string
	Entrypoint []string
	Command    []string
	Env        []string
	Platform   v1.Platform
}

// Write writes the image as an archive that `docker load` and `muster image
// load` read. The same files make the same image, whenever it is made.
func Write(spec Spec, output string) error {
	tag, err := name.NewTag(spec.Name)
	if err != nil {
		return fmt.Errorf("pack image: %w", err)
	}
	layers, err := spec.layers()
	if err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Name, err)
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Name, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Name, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = spec.Platform.OS, spec.Platform.Architecture
	config.Config = v1.Config{Entrypoint: spec.Entrypoint, Cmd: spec.Command, Env: spec.Env}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return fmt.Errorf("pack image %s: %w", spec.Name, err)
	}
	if err := tarball.WriteToFile(output, tag, image); err != nil {
		return fmt.Errorf("write image archive: %w", err)
	}
	return nil
}

func (s Spec) layers() ([]v1.Layer, error) {
	top, err := s.layer()
	if err != nil || s.Base == "" {
		return []v1.Layer{top}, err
	}
	base, err := tarball.LayerFromFile(s.Base)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	return []v1.Layer{base, top}, nil
}

func (s Spec) layer() (v1.Layer, error) {
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	made := make(map[string]bool)
	for _, dir := range s.Dirs {
		if err := mkdirAll(archive, made, dir, 0o1777); err != nil {
			return nil, err
		}
	}
	for _, file := range s.Files {
		source, target, ok := strings.Cut(file, ":")
		if !ok {
			return nil, fmt.Errorf("file %q: give SOURCE:/TARGET", file)
		}
		if err := mkdirAll(archive, made, path.Dir(target), 0o755); err != nil {
			return nil, err
		}
		if err := addFile(archive, source, target); err != nil {
			return nil, err
		}
	}
	for _, link := range slices.Sorted(slices.Values(s.Links)) {
		from, to, ok := strings.Cut(link, "=")
		if !ok {
			return nil, fmt.Errorf("link %q: give /LINK=TARGET", link)
		}
		if err := mkdirAll(archive, made, path.Dir(from), 0o755); err != nil {
			return nil, err
		}
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: relative(from), Linkname: to, Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
}

func addFile(archive *tar.Writer, source, target string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New(source + " is no regular file")
	}
	// No time and no owner: they would make every image another one.
	mode := int64(info.Mode().Perm())
	if info.Mode()&os.ModeSetuid != 0 {
		mode |= 0o4000
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: relative(target), Mode: mode, Size: info.Size()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}

// mkdirAll writes a directory and its parents, each once.
func mkdirAll(archive *tar.Writer, made map[string]bool, dir string, mode int64) error {
	dir = relative(dir)
	if dir == "" || dir == "." || made[dir] {
		return nil
	}
	if err := mkdirAll(archive, made, path.Dir(dir), 0o755); err != nil {
		return err
	}
	made[dir] = true
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: mode})
}

func relative(p string) string { return strings.TrimPrefix(path.Clean(p), "/") }
