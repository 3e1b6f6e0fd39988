//go:build root

package containerd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/containerd"
)

// sleeper runs a command whose child sleeps for a time that no other does.
func sleeper(ctx context.Context, t *testing.T, r *containerd.Runtime, id string) (running func() bool, done chan error) {
	t.Helper()
	running = func() bool { return exec.Command("pgrep", "-f", "^sleep 4321$").Run() == nil }
	done = make(chan error, 1)
	go func() {
		code, err := r.Stream(ctx, "p", id, []string{"sh", "-c", "sleep 4321; echo never"}, runtime.Streams{Stdout: io.Discard})
		if err == nil && code != 137 {
			t.Errorf("exit code %d, want 137", code)
		}
		done <- err
	}()
	await(t, "the command runs", func() bool { return running() || len(done) > 0 })
	if !running() {
		t.Fatal(<-done)
	}
	return running, done
}

func noCommandsLeft(t *testing.T, d *daemon, running func() bool) {
	t.Helper()
	if running() {
		t.Error("the command's child runs on")
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "muster", "commands", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCommandsEnd lets who asked go away, and an agent find what one before it
// left, as after a kill.
func TestCommandsEnd(t *testing.T) {
	d := startDaemon(t)
	first := d.runtime(t)
	importBusybox(t, first)
	sandbox(t, first, "p")
	c := run(t, first, "p", runtime.ContainerConfig{Command: []string{"serve"}})

	ctx, cancel := context.WithCancel(t.Context())
	running, done := sleeper(ctx, t, first, c.ID)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	noCommandsLeft(t, d, running)

	running, done = sleeper(context.Background(), t, first, c.ID)
	second := d.runtime(t)
	for range 2 {
		if err := second.EndCommands(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	noCommandsLeft(t, d, running)
	if code, err := second.Stream(t.Context(), "p", c.ID, []string{"exit", "4"}, runtime.Streams{}); code != 4 || err != nil {
		t.Errorf("afterwards: %d, %v", code, err)
	}
	if err := second.RemoveSandbox(t.Context(), "p"); err != nil {
		t.Error(err)
	}
}

// listen opens a port of the namespace's localhost and echoes.
func listen(t *testing.T, path string) uint16 {
	t.Helper()
	lis := make(chan net.Listener, 1)
	go func() {
		goruntime.LockOSThread()
		defer close(lis)
		ns, err := netns.GetFromPath(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			t.Error(err)
			return
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return
		}
		lis <- l
	}()
	l, ok := <-lis
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
		conn.Close()
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestDialWithinThePod(t *testing.T) {
	d := startDaemon(t)
	r := d.runtime(t)
	port := listen(t, sandbox(t, r, "p").NetNS)
	conn, err := r.Dial(t.Context(), "p", port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("echo %q, %v", got, err)
	}
	if err := r.RemoveSandbox(t.Context(), "p"); err != nil {
		t.Error(err)
	}
}
