package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

func sandboxOnce(t *testing.T, s *suite) {
	first, second := s.sandbox(), s.sandbox()
	if !first.Ready || first.NetNS == "" || first.Annotations["k"] != "v" {
		t.Errorf("sandbox %+v", first)
	}
	if first.NetNS != second.NetNS || !first.CreatedAt.Equal(second.CreatedAt) {
		t.Errorf("second call made another: %+v, %+v", first, second)
	}
	pods, err := s.Runtime.Pods(t.Context())
	if err != nil || len(pods) != 1 || pods[0].Sandbox.Name != "web" {
		t.Fatalf("pods %+v, %v", pods, err)
	}
	s.removeSandbox()
}

func noHandler(t *testing.T, s *suite) {
	cfg := runtime.SandboxConfig{PodUID: "uid-vm", Namespace: "default", Name: "vm", Handler: "vm", CgroupParent: s.CgroupParent}
	want := `failed to get sandbox runtime: no runtime for "vm" is configured`
	if _, err := s.Runtime.EnsureSandbox(t.Context(), cfg); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := s.Runtime.Pod(t.Context(), cfg.PodUID); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("it left something: %v", err)
	}
	cfg.Handler = "runc"
	if _, err := s.Runtime.EnsureSandbox(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	if err := s.Runtime.RemoveSandbox(t.Context(), cfg.PodUID); err != nil {
		t.Error(err)
	}
}

func exitCode(t *testing.T, s *suite) {
	s.sandbox()
	c := s.start(s.config(0, "exit", "3"))
	got := s.exited(c.ID)
	if got.ExitCode != 3 || got.OOMKilled || got.Err != "" || got.Lost {
		t.Errorf("exited as %+v", got)
	}
	if got.FinishedAt.Before(got.StartedAt) || got.StartedAt.IsZero() {
		t.Errorf("started %v, finished %v", got.StartedAt, got.FinishedAt)
	}
	if again := s.container(c.ID); again.ExitCode != 3 || !again.FinishedAt.Equal(got.FinishedAt) {
		t.Errorf("asked again: %+v", again)
	}
	s.removeSandbox()
}

func stopBySignal(t *testing.T, s *suite) {
	s.sandbox()
	c := s.start(s.config(0, "serve"))
	if c.State != runtime.Running || c.Pid == 0 || c.Hash != "h1" {
		t.Fatalf("started as %+v", c)
	}
	// The program needs a moment before it handles signals.
	s.awaitReady()
	if err := s.Runtime.Stop(t.Context(), uid, c.ID, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := s.container(c.ID); got.State != runtime.Exited || got.ExitCode != 143 {
		t.Errorf("stopped as %+v", got)
	}
	if err := s.Runtime.Stop(t.Context(), uid, c.ID, time.Second); err != nil {
		t.Errorf("stop an exited container: %v", err)
	}
	s.removeSandbox()
}

// awaitReady gives "serve" the time to install its handler; it prints nothing.
func (s *suite) awaitReady() {
	if s.HostFiles {
		time.Sleep(300 * time.Millisecond)
	}
}

func stopByForce(t *testing.T, s *suite) {
	s.sandbox()
	c := s.start(s.config(0, "ignore-term"))
	s.awaitReady()
	begin := time.Now()
	if err := s.Runtime.Stop(t.Context(), uid, c.ID, time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("killed after %v, before its grace", took)
	}
	if got := s.container(c.ID); got.ExitCode != 137 || got.OOMKilled {
		t.Errorf("stopped as %+v", got)
	}
	s.removeSandbox()
}

func startError(t *testing.T, s *suite) {
	s.sandbox()
	c := s.start(s.config(0, "no-such-program"))
	if c.State != runtime.Exited || c.ExitCode != 128 {
		t.Errorf("state %v, exit code %d, want exited with 128", c.State, c.ExitCode)
	}
	if want := `exec: "no-such-program": executable file not found in $PATH`; !strings.Contains(c.Err, want) {
		t.Errorf("error %q lacks %q", c.Err, want)
	}
	s.removeSandbox()
}

func startTwice(t *testing.T, s *suite) {
	s.sandbox()
	first := s.start(s.config(0, "serve"))
	second := s.start(s.config(0, "serve"))
	if first.ID != second.ID || !first.StartedAt.Equal(second.StartedAt) || first.Pid != second.Pid {
		t.Errorf("second start made another: %+v, %+v", first, second)
	}
	s.removeSandbox()
}

func attempts(t *testing.T, s *suite) {
	s.sandbox()
	first := s.start(s.config(0, "exit", "1"))
	s.exited(first.ID)
	second := s.start(s.config(1, "exit", "2"))
	s.exited(second.ID)
	pod, err := s.Runtime.Pod(t.Context(), uid)
	if err != nil || len(pod.Containers) != 2 {
		t.Fatalf("pod %+v, %v", pod, err)
	}
	for i, c := range pod.Containers {
		if c.Attempt != i || c.ExitCode != i+1 {
			t.Errorf("container %d is %+v", i, c)
		}
	}
	s.removeSandbox()
}

func removeKeepsLog(t *testing.T, s *suite) {
	s.sandbox()
	cfg := s.config(0, "print", "hello", "there")
	c := s.start(cfg)
	s.exited(c.ID)
	for range 2 {
		if err := s.Runtime.Remove(t.Context(), uid, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	pod, err := s.Runtime.Pod(t.Context(), uid)
	if err != nil || len(pod.Containers) != 0 {
		t.Errorf("pod %+v, %v", pod, err)
	}
	if log := s.readLog(cfg); !strings.HasSuffix(log, " stdout F hello there\n") {
		t.Errorf("log %q", log)
	}
	s.removeSandbox()
}

func removeRunning(t *testing.T, s *suite) {
	s.sandbox()
	s.start(s.config(0, "serve"))
	s.removeSandbox()
	s.sandbox()
	if c := s.start(s.config(0, "serve")); c.State != runtime.Running {
		t.Errorf("second life: %+v", c)
	}
	s.removeSandbox()
}

func outOfMemory(t *testing.T, s *suite) {
	s.sandbox()
	cfg := s.config(0, "eat-memory")
	cfg.Resources.MemoryBytes = 16 << 20
	c := s.start(cfg)
	if got := s.exited(c.ID); !got.OOMKilled || got.ExitCode != 137 {
		t.Errorf("exited as %+v", got)
	}
	s.removeSandbox()
}

func missing(t *testing.T, s *suite) {
	ctx := t.Context()
	if _, err := s.Runtime.Image(ctx, "no/such:image"); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("image: %v", err)
	}
	if _, err := s.Runtime.Pod(ctx, uid); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("pod: %v", err)
	}
	if _, err := s.Runtime.CreateAndStart(ctx, uid, s.config(0, "serve")); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("start without sandbox: %v", err)
	}
	if err := s.Runtime.Stop(ctx, uid, "none", time.Second); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func listImages(t *testing.T, s *suite) {
	ctx := t.Context()
	image := s.config(0, "serve").Image
	has := func() bool {
		list, err := s.Runtime.Images(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(i runtime.Image) bool { return i.Ref == image.Ref && i.RepoDigest == image.RepoDigest })
	}
	if !has() {
		t.Errorf("%s is not among the images", image.Ref)
	}
	s.sandbox()
	c := s.start(s.config(0, "serve"))
	before, err := s.Runtime.ImageDisk(ctx)
	if err != nil || before.Available <= 0 || before.Available > before.Capacity {
		t.Errorf("disk: %+v, %v", before, err)
	}
	for range 2 {
		if err := s.Runtime.RemoveImage(ctx, image.Ref); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Runtime.Image(ctx, image.Ref); has() || !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("the image is still there: %v", err)
	}
	if pod, err := s.Runtime.Pod(ctx, uid); err != nil || pod.Containers[0].ID != c.ID || pod.Containers[0].State != runtime.Running {
		t.Errorf("the container did not outlive its image's name: %+v, %v", pod, err)
	}
	s.removeSandbox()
}

func pullMissing(t *testing.T, s *suite) {
	_, err := s.Runtime.Pull(t.Context(), "nope", nil)
	want := `failed to pull and unpack image "docker.io/library/nope:latest": failed to resolve reference "docker.io/library/nope:latest": docker.io/library/nope:latest: not found`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func execBeside(t *testing.T, s *suite) {
	s.sandbox()
	c := s.start(s.config(0, "serve"))
	s.awaitReady()
	for _, tc := range []struct {
		command []string
		output  string
		code    int
	}{
		{[]string{"print", "hello", "there"}, "hello there\n", 0},
		{[]string{"exit", "3"}, "", 3},
	} {
		output, code, err := s.Runtime.Exec(t.Context(), uid, c.ID, tc.command)
		if string(output) != tc.output || code != tc.code || err != nil {
			t.Errorf("%q: %q, code %d, %v", tc.command, output, code, err)
		}
	}
	if _, _, err := s.Runtime.Exec(t.Context(), uid, c.ID, []string{"no-such-program"}); err == nil || !strings.Contains(err.Error(), "executable file not found in $PATH") {
		t.Errorf("a missing program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	if _, _, err := s.Runtime.Exec(ctx, uid, c.ID, []string{"sleep", "30"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 10*time.Second {
		t.Errorf("a slow program: %v after %v", err, time.Since(begin))
	}
	if got := s.container(c.ID); got.State != runtime.Running {
		t.Errorf("the container is %+v", got)
	}
	if err := s.Runtime.Stop(t.Context(), uid, c.ID, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Runtime.Exec(t.Context(), uid, c.ID, []string{"exit", "0"}); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("in an exited container: %v", err)
	}
	s.removeSandbox()
}
