package imageload_test

import (
	"archive/tar"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/musterhq/muster/cmd/muster/internal/imageload"
	"github.com/musterhq/muster/cmd/muster/internal/imagepack"
)

// pack makes a docker archive of one file.
func pack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := imagepack.Spec{
		Name: "app:v1", Files: []string{program + ":/bin/app"}, Links: []string{"/bin/sh=app"}, Dirs: []string{"/tmp"},
		Entrypoint: []string{"/bin/app"}, Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
	}
	first, second := filepath.Join(dir, "1.tar"), filepath.Join(dir, "2.tar")
	for _, path := range []string{first, second} {
		if err := imagepack.Write(spec, path); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := os.ReadFile(first)
	b, _ := os.ReadFile(second)
	if string(a) != string(b) {
		t.Error("the same files make another image")
	}
	return first
}

// ociArchive makes an OCI archive as `docker buildx -o type=oci` does.
func ociArchive(t *testing.T, image v1.Image, reference string) string {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"io.containerd.image.name": reference})); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := tar.NewWriter(f)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func target(t *testing.T, name string) (*httptest.Server, imageload.Target) {
	t.Helper()
	s := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return s, imageload.Target{Name: name, Client: s.Client(), URL: s.URL}
}

func TestLoad(t *testing.T) {
	oci, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	for repository, path := range map[string]string{
		"docker.io/library/app:v1":   pack(t),
		"registry.example/team/x:v2": ociArchive(t, oci, "registry.example/team/x:v2"),
	} {
		s, up := target(t, "server1")
		gone, down := target(t, "server2")
		gone.Close()
		var out strings.Builder
		for range 2 { // the second time there is nothing to send
			if err := imageload.Load(t.Context(), path, []imageload.Target{up, down}, &out); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(out.String(), repository+" is on 1 of 2 servers") || !strings.Contains(out.String(), "server2 does not take it") {
			t.Errorf("said %s", out.String())
		}
		ref, err := name.ParseReference(s.Listener.Addr().String() + "/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(ref, remote.WithTransport(s.Client().Transport))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(image); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	gone, down := target(t, "server1")
	gone.Close()
	junk := filepath.Join(t.TempDir(), "junk.tar")
	if err := os.WriteFile(junk, []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/none.tar": "no such file",
		junk:        "neither an OCI nor a docker archive",
		pack(t):     "no server took it",
	} {
		if err := imageload.Load(t.Context(), path, []imageload.Target{down}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
