//go:build root

package crash_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// diskSize is what the disk of a member holds, in bytes: a few segments.
const diskSize = 320 << 20

// tight is less than what is kept for what goes on without writes.
const tight = 50 << 20

// ownDisk gives a member a file system of its own.
func ownDisk(t *testing.T) func(*process) {
	return func(p *process) {
		p.config.Segment = 0 // what takes the most room at once
		if err := os.Mkdir(p.config.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("crash", p.config.Dir, "tmpfs", 0, "size="+strconv.Itoa(diskSize)); err != nil {
			t.Fatalf("mount a file system for %s (this needs root): %v", p.config.ID, err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(p.config.Dir, syscall.MNT_DETACH) })
	}
}

func ballast(p *process) string { return filepath.Join(p.config.Dir, "ballast") }

// stuff fills a member's disk until so many bytes are left.
func (c *cluster) stuff(p *process, leave int64) {
	c.t.Helper()
	file, err := os.OpenFile(ballast(p), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	size := int64(0)
	for step := int64(diskSize); step >= 4096; { // the member takes some meanwhile
		var stat syscall.Statfs_t
		if err := syscall.Statfs(p.config.Dir, &stat); err != nil {
			c.t.Fatal(err)
		}
		step = min(step, int64(stat.Bavail)*stat.Bsize-leave)
		switch err := syscall.Fallocate(int(file.Fd()), 0, size, max(step, 1)); {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		default:
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) relieve(p *process) {
	c.t.Helper()
	if err := os.Remove(ballast(p)); err != nil {
		c.t.Fatal(err)
	}
}

// goesOn checks that writes by a member succeed.
func (c *cluster) goesOn(p *process) {
	c.t.Helper()
	c.eventually("writes by "+p.config.ID+" go on", func() bool { return c.history.write(p) == nil })
	for range 20 {
		if err := c.history.write(p); err != nil {
			c.t.Errorf("a write by %s failed: %v", p.config.ID, err)
		}
	}
}

// refuses checks that writes by a member are refused for want of room on the disks
// of some members, and that reads go on there.
func (c *cluster) refuses(p *process, on ...*process) {
	c.t.Helper()
	var err error
	c.eventually(p.config.ID+" refuses writes", func() bool {
		err = c.history.write(p)
		return err != nil && strings.Contains(err.Error(), "disk is full")
	})
	for _, full := range on {
		if !strings.Contains(err.Error(), full.config.ID) || !strings.Contains(err.Error(), "free space there") {
			c.t.Errorf("the refusal does not say what to do about %s: %v", full.config.ID, err)
		}
	}
	for range 20 {
		c.must(p.tell(order{Do: "dump"}))
		if err := c.history.write(p); err == nil {
			c.t.Errorf("%s took a write", p.config.ID)
		}
	}
}

// The disk of the leader fills, and then that of the next one; there is room again
// on one of them. Nobody is started again.
func TestDisksFill(t *testing.T) {
	c := newCluster(t, 3, ownDisk(t))
	stop := c.load()
	first, _ := c.leader()
	c.stuff(first, tight)
	var second *process
	c.eventually("leadership moves to a member with room", func() bool {
		second, _ = c.leader()
		return second != first
	})
	for _, p := range c.members {
		c.goesOn(p)
	}
	c.stuff(second, tight)
	for _, p := range c.members {
		c.refuses(p, first, second)
	}
	c.relieve(first)
	for _, p := range c.members {
		c.goesOn(p)
	}
	c.relieve(second)
	stop()
	c.check()
}

// A follower's disk is full, to its last byte or so far that its log can begin no
// segment, while the others write more than there is room for; it catches up when
// there is room.
func TestFollowerWithoutRoom(t *testing.T) {
	for _, left := range []int64{0, 8 << 20} {
		c := newCluster(t, 3, ownDisk(t))
		stop := c.load()
		leader, full := c.leader()
		c.stuff(full, left)
		for n := range 340 {
			c.must(leader.tell(order{Do: "fill", Keys: []string{"b" + strconv.Itoa(n%4)}}))
		}
		c.goesOn(leader)
		if log, err := os.ReadFile(full.log); left == 0 && !strings.Contains(string(log), "disk is full: append to log") {
			t.Errorf("%s had room for all (%v)", full.config.ID, err)
		}
		c.relieve(full)
		c.goesOn(full)
		stop()
		c.check()
	}
}

// The disk of a member alone is full to its last byte: it is read from, and
// written to when there is room. It may also be killed meanwhile.
func TestAloneWithoutAByte(t *testing.T) {
	c := newCluster(t, 1, ownDisk(t))
	alone := c.members[0]
	for n := range 200 {
		c.must(alone.tell(order{Do: "fill", Keys: []string{"b" + strconv.Itoa(n%4)}}))
	}
	stop := c.load()
	c.goesOn(alone)
	c.stuff(alone, 0)
	c.refuses(alone, alone)
	c.relieve(alone)
	c.goesOn(alone)
	c.stuff(alone, 0)
	c.refuses(alone, alone)
	alone.kill()
	alone.start(t, "")
	c.ready(alone)
	c.refuses(alone, alone)
	c.relieve(alone)
	c.goesOn(alone)
	stop()
	c.check()
}
