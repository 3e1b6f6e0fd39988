//go:build root

package containerd_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/musterhq/muster/agent/logs/writer"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/conformance"
	"github.com/musterhq/muster/agent/runtime/containerd"
)

// TestMain makes the test binary the log writer as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "container-log" {
		cfg, err := writer.Parse(os.Args[2])
		if err == nil {
			err = writer.Main(cfg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if err := removeParents(); err != nil {
		fmt.Fprintln(os.Stderr, "pods left cgroups behind:", err)
		code = 1
	}
	os.Exit(code)
}

// removeParents removes the cgroup that the tests' pods were made below, in
// every hierarchy. The runtime leaves it, for it is the agent's; a pod's that is
// still in it makes this fail.
func removeParents() error {
	var errs []error
	for _, pattern := range []string{"/sys/fs/cgroup/muster-test", "/sys/fs/cgroup/*/muster-test"} {
		dirs, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, dir := range dirs {
			errs = append(errs, os.Remove(dir))
		}
	}
	return errors.Join(errs...)
}

// daemon is a containerd of the test's own.
type daemon struct {
	dir  string
	cmd  *exec.Cmd
	done chan error
}

func (d *daemon) socket() string { return filepath.Join(d.dir, "c.sock") }

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctd")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n[ttrpc]\naddress = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), filepath.Join(dir, "c.sock"), filepath.Join(dir, "t.sock"))
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{dir: dir}
	d.start(t)
	t.Cleanup(func() {
		d.kill(syscall.SIGTERM)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("containerd left something mounted: %v", err)
		}
	})
	return d
}

func (d *daemon) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command("containerd", "--config", filepath.Join(d.dir, "config.toml"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(d.cmd, d.done)
}

func (d *daemon) kill(sig syscall.Signal) {
	_ = d.cmd.Process.Signal(sig)
	<-d.done
}

func (d *daemon) runtime(t *testing.T, mirrors ...containerd.Mirror) *containerd.Runtime {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := containerd.New(containerd.Config{
		Address: d.socket(), StateDir: filepath.Join(d.dir, "muster"), LogWriter: []string{self, "container-log"},
		Mirrors: func() []containerd.Mirror { return mirrors }, Offline: true, Logger: slog.Default(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	await(t, "containerd answers", func() bool {
		_, err := r.Version(t.Context())
		return err == nil
	})
	return r
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 30s: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// programs are those that package fake describes, as scripts for busybox.
var programs = map[string]string{
	"exit":        "#!/bin/sh\nexit $1\n",
	"serve":       "#!/bin/sh\ntrap 'exit 143' TERM\nwhile :; do sleep 1 & wait; done\n",
	"ignore-term": "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n",
	"print":       "#!/bin/sh\necho \"$@\"\n",
	"eat-memory":  "#!/bin/sh\nx=0123456789abcdef\nwhile :; do x=$x$x; done\n",
	"both":        "#!/bin/sh\necho $1\necho $2 >&2\nexit $3\n",
	"pour":        "#!/bin/sh\nexec yes 0123456789abcde | head -c ${1}k\n",
	"size":        "#!/bin/sh\nwhile read x; do stty size; done\n",
	"count":       "#!/bin/sh\ni=0\nwhile :; do echo $i; i=$((i+1)); sleep 0.05; done\n",
}

func busyboxImage(t *testing.T) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	add := func(h *tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	add(&tar.Header{Name: "bin/busybox", Mode: 0o755}, busybox)
	for _, applet := range []string{"sh", "sleep", "echo", "cat", "id", "hostname", "stty", "yes", "head"} {
		add(&tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	for name, script := range programs {
		add(&tar.Header{Name: "bin/" + name, Mode: 0o755}, []byte(script))
	}
	add(&tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n"))
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(t, img)},
		Config: v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func diffIDs(t *testing.T, img v1.Image) []v1.Hash {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS.DiffIDs
}

func importBusybox(t *testing.T, r runtime.Runtime) {
	t.Helper()
	ref, err := name.ParseReference("docker.io/library/busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := tarball.Write(ref, busyboxImage(t), &archive); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ImportImages(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
}

func mirror(t *testing.T, images ...string) containerd.Mirror {
	t.Helper()
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	for _, image := range images {
		ref, err := name.ParseReference(strings.TrimPrefix(srv.URL, "http://") + "/" + image)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, busyboxImage(t)); err != nil {
			t.Fatal(err)
		}
	}
	return containerd.Mirror{URL: srv.URL}
}

func TestConformance(t *testing.T) {
	before := footprint(t)
	d := startDaemon(t)
	r := d.runtime(t, mirror(t))
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		importBusybox(t, r) // each time: one part removes it
		t.Cleanup(func() {
			if err := r.RemoveSandbox(context.Background(), "0d7f4b52-1111-4c1c-9c5e-5d1f5f3f0001"); err != nil {
				t.Error(err)
			}
		})
		return conformance.Harness{Runtime: r, Image: "busybox", CgroupParent: "/muster-test", HostFiles: true}
	})
	if after := footprint(t); after != before {
		t.Errorf("left behind: before %+v, after %+v", before, after)
	}
}
