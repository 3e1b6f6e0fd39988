//go:build root

package images_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// An image is refused before it takes the room that is kept for the log, which is
// on the same disk; one that fits is not.
func TestImagesLeaveRoomForTheLog(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("images", dir, "tmpfs", 0, "size=112m"); err != nil {
		t.Fatalf("mount a file system (this needs root): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := start(t, dir)
	small := s.load(t)
	large, err := random.Image(40<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.reference(t), large, s.options(admin)...); err == nil || !strings.Contains(err.Error(), "free space there") {
		t.Errorf("pushed: %v", err)
	}
	if err := replica.CheckRoom(dir); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	s.pulls(t, small)
}
