package reaper_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/runtime/containerd/reaper"
)

// TestMain makes the test binary the reaper as well, which waits for all children
// of its process and so cannot share one with other tests.
func TestMain(m *testing.M) {
	if os.Getenv("REAPER") != "" {
		os.Exit(adopt())
	}
	os.Exit(m.Run())
}

// adopt starts a child that leaves an orphan, which ends: both are gone once a
// process has no children.
func adopt() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 2
	}
	done, w, err := os.Pipe()
	if err != nil {
		return 3
	}
	child := exec.Command("sh", "-c", "sleep 0.1 &")
	child.ExtraFiles = []*os.File{w} // closed when both have ended
	if err := child.Start(); err != nil {
		return 4
	}
	w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reaper.Run(ctx) }()
	_, _ = done.Read(make([]byte, 1))
	for { // The last end is a signal away.
		if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil); errors.Is(err, unix.ECHILD) {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return 5
	}
	return 0
}

func TestOrphansAreReaped(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "REAPER=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("an orphan stayed: %v\n%s", err, out)
	}
}
