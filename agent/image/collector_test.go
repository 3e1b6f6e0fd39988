package image_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/fake"
)

const mebibyte = 1 << 20 // what an image of the fake takes

func pull(t *testing.T, node *fake.Runtime, names ...string) {
	t.Helper()
	node.Publish(names...)
	for _, name := range names {
		if _, err := node.Pull(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// use makes a pod with a container of the image.
func use(t *testing.T, node *fake.Runtime, name string, command ...string) {
	t.Helper()
	if _, err := node.EnsureSandbox(t.Context(), runtime.SandboxConfig{PodUID: "pod-" + name}); err != nil {
		t.Fatal(err)
	}
	img, err := node.Image(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.CreateAndStart(t.Context(), "pod-"+name, runtime.ContainerConfig{Name: "main", Image: img, Command: command}); err != nil {
		t.Fatal(err)
	}
}

// holds wants these images, by their one-letter names, to be present.
func holds(t *testing.T, node *fake.Runtime, after, want string) {
	t.Helper()
	images, err := node.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, i := range images {
		got.WriteString(strings.TrimSuffix(strings.TrimPrefix(i.Ref, "docker.io/library/"), ":latest"))
	}
	if got.String() != want {
		t.Errorf("%s: present are %q, want %q", after, got.String(), want)
	}
}

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := fake.New()
		node.SetDisk(10 * mebibyte)
		var events []string
		c := image.NewCollector(node, func(_, reason, message string) { events = append(events, reason+": "+message) },
			slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		pass := func() { time.Sleep(5 * time.Minute); synctest.Wait() }

		pull(t, node, "a", "b", "c", "d", "e", "f", "g", "h")
		use(t, node, "a", "serve")
		use(t, node, "b", "exit", "0")
		use(t, node, "c", "serve")
		pass()
		if err := node.RemoveSandbox(t.Context(), "pod-c"); err != nil {
			t.Fatal(err)
		}
		pass()
		holds(t, node, "a disk of 80 %", "abcdefgh")
		pull(t, node, "0") // the first by name, the last by age
		pass()
		holds(t, node, "a disk of 90 %", "0abcefgh")
		node.SetDisk(5 * mebibyte)
		pass()
		holds(t, node, "more room needed", "0abc")
		node.SetDisk(4*mebibyte - 1)
		pass()
		holds(t, node, "still more", "abc")
		if len(events) > 0 {
			t.Errorf("events %q though there was room in the end", events)
		}
		node.SetDisk(2 * mebibyte)
		pass()
		holds(t, node, "all is in use", "ab")
		if len(events) != 1 || !strings.HasPrefix(events[0], "ImageGCFailed: ") {
			t.Errorf("events %q, want one of a disk that stays full", events)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// stuck is a node on which one image cannot be removed.
type stuck struct{ *fake.Runtime }

func (s stuck) RemoveImage(ctx context.Context, ref string) error {
	if strings.Contains(ref, "/b:") {
		return errors.New("it is stuck")
	}
	return s.Runtime.RemoveImage(ctx, ref)
}

func TestCollectorKeepsYoungImagesAndGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := fake.New()
		node.SetDisk(3 * mebibyte)
		var events []string
		c := image.NewCollector(stuck{node}, func(_, reason, message string) { events = append(events, reason+": "+message) },
			slog.New(slog.DiscardHandler))
		pull(t, node, "a", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		holds(t, node, "all are new", "abc")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		holds(t, node, "five minutes", "bc")
		node.SetDisk(1)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		holds(t, node, "no room", "b")
		if len(events) != 2 || !strings.Contains(events[1], "it is stuck") {
			t.Errorf("events %q, want one of new images and one of what could not be removed", events)
		}
		cancel()
		<-ended
	})
}
