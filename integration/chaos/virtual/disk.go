package virtual

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/failpoint"
)

// appended is the point at which a member is about to write to its log.
const appended = "replica/log/append"

// errDead is what a killed member's writes end with: it is still there, since
// goroutines cannot be killed, but nothing that it does counts.
var errDead = errors.New("the process was killed")

// disks are what the members' logs are written to.
type disks struct {
	mu   sync.Mutex
	dead map[string]bool          // by directory
	hung map[string]chan struct{} // by directory, closed when writes go on
	slow *rand.Rand               // nil if they are not
}

func newDisks() *disks {
	d := &disks{dead: map[string]bool{}, hung: map[string]chan struct{}{}}
	failpoint.Intercept(appended, d.write)
	return d
}

func (d *disks) close() { failpoint.Intercept(appended, nil) }

// kill has what a member writes fail, also what it is writing.
func (d *disks) kill(dir string, dead bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead[dir] = dead; dead {
		d.release(dir)
	}
}

// hang has a member's writes wait, or go on.
func (d *disks) hang(dir string, hang bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.release(dir); hang {
		d.hung[dir] = make(chan struct{})
	}
}

// release lets writes go on. The lock is held.
func (d *disks) release(dir string) {
	if hung, ok := d.hung[dir]; ok {
		close(hung)
		delete(d.hung, dir)
	}
}

// HangDisk implements chaos.Disks.
func (c *Cluster) HangDisk(name string, hang bool) error {
	if m, err := c.member(name); err == nil { // it was not replaced meanwhile
		c.disks.hang(m.dir, hang)
	}
	return nil
}

// SlowDisks has one write to a log in eight take up to 30 ms from now on, and one in
// 64 ten times as long, which is more than a leader's lease: its entries may be on all
// other disks by then.
func (c *Cluster) SlowDisks(seed uint64) {
	c.disks.mu.Lock()
	defer c.disks.mu.Unlock()
	c.disks.slow = rand.New(rand.NewPCG(seed, 0))
}

// write is called before a member writes to its log, which lies somewhere below its
// directory.
func (d *disks) write(path string) error {
	if pause := d.draw(); pause > 0 {
		time.Sleep(pause)
	}
	if hung := d.waits(path); hung != nil {
		<-hung
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir, dead := range d.dead {
		if dead && lies(path, dir) {
			return errDead
		}
	}
	return nil
}

// waits returns what a write waits for; nil if it need not.
func (d *disks) waits(path string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir, hung := range d.hung {
		if lies(path, dir) {
			return hung
		}
	}
	return nil
}

func lies(path, dir string) bool { return strings.HasPrefix(path, dir+string(filepath.Separator)) }

func (d *disks) draw() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.slow == nil {
		return 0
	}
	most := 30 * time.Millisecond
	switch draw := d.slow.IntN(64); {
	case draw == 0:
		most *= 10
	case draw >= 8:
		return 0
	}
	return time.Duration(d.slow.Float64() * float64(most))
}
