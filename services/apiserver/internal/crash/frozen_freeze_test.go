//go:build root && freeze

package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Linux' FIFREEZE and FITHAW (linux/fs.h): what writes to a file system waits, in the
// kernel, until it is thawed.
const (
	freeze = 0xc0045877
	thaw   = 0xc0045878
)

// ownImage gives a member a file system of its own that can be frozen.
func ownImage(t *testing.T) func(*process) {
	return func(p *process) {
		mounted, image := p.config.Dir, p.config.Dir+".img"
		file, err := os.Create(image)
		if err == nil {
			err = file.Truncate(diskSize)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		command(t, "mkfs.ext4", "-q", image)
		if err := os.Mkdir(mounted, 0o700); err != nil {
			t.Fatal(err)
		}
		command(t, "mount", "-o", "loop", image, mounted)
		t.Cleanup(func() {
			_ = turn(p, thaw)
			p.kill()
			command(t, "umount", mounted)
		})
		// A file system that is not empty is no directory for a new member.
		p.config.Dir = filepath.Join(mounted, "data")
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s (this needs root and loop devices): %v: %s", name, err, out)
	}
}

// turn freezes or thaws the disk of a member.
func turn(p *process, request uint) error {
	fd, err := unix.Open(filepath.Dir(p.config.Dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), uintptr(request), 0); errno != 0 {
		return errno
	}
	return nil
}

// The leader's disk hangs, in the kernel, while its process lives: the others go on
// without it. When the disk goes on, the member follows them.
func TestFrozenDiskHoldsUpNobody(t *testing.T) {
	c := newCluster(t, 3, ownImage(t))
	for range 3 {
		leader, other := c.leader()
		c.goesOn(leader)
		if err := turn(leader, freeze); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		c.goesOn(other)
		t.Logf("%s led with a disk that hangs; %s writes again after %v", leader.config.ID, other.config.ID, time.Since(begun).Round(time.Millisecond))
		if a := c.must(other.tell(order{Do: "status"})); a.Leader == leader.config.ID {
			t.Errorf("%s leads yet", a.Leader)
		}
		if err := turn(leader, thaw); err != nil {
			t.Fatal(err)
		}
		c.goesOn(leader)
	}
	c.check()
}
