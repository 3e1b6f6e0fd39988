// Package conformance is what every container runtime of the agent must do.
package conformance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// Harness is a fresh runtime with one image imported, which holds the programs
// that package fake describes.
type Harness struct {
	Runtime runtime.Runtime
	Image   string
	// CgroupParent for sandboxes.
	CgroupParent string
	// HostFiles says that sandboxes and logs are real.
	HostFiles bool
}

// Run runs the suite; start is called once for each part.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	parts := map[string]func(t *testing.T, s *suite){
		"sandbox is made once and removed whole":    sandboxOnce,
		"a runtime that is not there is refused":    noHandler,
		"exit code and event":                       exitCode,
		"stop by signal":                            stopBySignal,
		"stop by force":                             stopByForce,
		"what cannot start has exited with 128":     startError,
		"start repeated is one container":           startTwice,
		"attempts are containers of their own":      attempts,
		"removed container keeps its log":           removeKeepsLog,
		"removing the sandbox ends its containers":  removeRunning,
		"commands run beside the program":           execBeside,
		"a command's output comes apart":            streamApart,
		"a command's input ends":                    streamInput,
		"a slow reader gets all":                    streamSlowReader,
		"a terminal is resized":                     streamTerminal,
		"a command dies with who asked":             streamGone,
		"input ends with who attached":              attachOnce,
		"a terminal is attached to again":           attachAgain,
		"output is attached to":                     attachOutput,
		"nobody listens":                            dialRefused,
		"killed for memory":                         outOfMemory,
		"limits change while a container runs":      resized,
		"missing things are not found":              missing,
		"images are listed and removed":             listImages,
		"a missing image is worded like containerd": pullMissing,
	}
	for name, part := range parts {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := &suite{Harness: start(t), t: t, dir: t.TempDir()}
			s.watch()
			part(t, s)
		})
	}
}

type suite struct {
	Harness
	t      *testing.T
	dir    string
	events chan runtime.Event
}

const uid = "0d7f4b52-1111-4c1c-9c5e-5d1f5f3f0001"

func (s *suite) watch() {
	s.events = make(chan runtime.Event, 64)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Runtime.Events(ctx, func(e runtime.Event) { s.events <- e }) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			s.t.Errorf("Events ended with %v", err)
		}
	})
	if first := <-s.events; first != (runtime.Event{}) {
		s.t.Fatalf("first event %+v, want an empty one", first)
	}
}

func (s *suite) sandbox() runtime.Sandbox {
	s.t.Helper()
	sb, err := s.Runtime.EnsureSandbox(s.t.Context(), runtime.SandboxConfig{
		PodUID: uid, Namespace: "default", Name: "web", Hostname: "web",
		CgroupParent: s.CgroupParent, Annotations: map[string]string{"k": "v"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return sb
}

func (s *suite) config(attempt int, command ...string) runtime.ContainerConfig {
	s.t.Helper()
	img, err := s.Runtime.Image(s.t.Context(), s.Image)
	if err != nil {
		s.t.Fatal(err)
	}
	return runtime.ContainerConfig{
		Name: "main", Attempt: attempt, Image: img, Command: command, Hash: "h1",
		LogPath: filepath.Join(s.dir, "logs", "main", "0.log"),
	}
}

func (s *suite) start(cfg runtime.ContainerConfig) runtime.Container {
	s.t.Helper()
	c, err := s.Runtime.CreateAndStart(s.t.Context(), uid, cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// exited waits for the container's exit event and returns what it became.
func (s *suite) exited(id string) runtime.Container {
	s.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case e := <-s.events:
			if e.ContainerID != id || e.OOM {
				continue
			}
			if e.PodUID != uid {
				s.t.Fatalf("event %+v names another pod", e)
			}
			c := s.container(id)
			if c.State != runtime.Exited {
				s.t.Fatalf("container %+v runs after its exit event", c)
			}
			return c
		case <-deadline:
			s.t.Fatalf("no exit event; container is %+v", s.container(id))
		}
	}
}

func (s *suite) container(id string) runtime.Container {
	s.t.Helper()
	pod, err := s.Runtime.Pod(s.t.Context(), uid)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range pod.Containers {
		if c.ID == id {
			return c
		}
	}
	s.t.Fatalf("container %s is not in %+v", id, pod)
	return runtime.Container{}
}

func (s *suite) removeSandbox() {
	s.t.Helper()
	for range 2 {
		if err := s.Runtime.RemoveSandbox(s.t.Context(), uid); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := s.Runtime.Pod(s.t.Context(), uid); !errors.Is(err, runtime.ErrNotFound) {
		s.t.Fatalf("removed pod: %v, want not found", err)
	}
	pods, err := s.Runtime.Pods(s.t.Context())
	if err != nil || len(pods) != 0 {
		s.t.Fatalf("pods left: %v, %v", pods, err)
	}
}

func (s *suite) readLog(cfg runtime.ContainerConfig) string {
	s.t.Helper()
	b, err := os.ReadFile(cfg.LogPath)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
