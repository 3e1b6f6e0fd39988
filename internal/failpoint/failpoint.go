// Package failpoint ends the process at a point that was chosen, as kill -9
// would, so that tests can look at what a crash just there leaves behind. The
// points are in every binary: one that is not armed costs an atomic load.
//
// (pingcap/failpoint rewrites the source and etcd's gofail generates code, so that
// the binary that is tested is another one than the one that is shipped.)
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable of the environment that arms a point: its name and, behind a colon, at
// which of its hits the process ends, 1 if nothing is said.
const Variable = "MUSTER_FAILPOINT"

// trap is an armed point.
type trap struct {
	name  string
	left  atomic.Int64            // hits until the process ends
	write func(path string) error // asked at each hit, instead
}

// armed is one for the process, as the end of it is. It is nil but in tests.
var armed atomic.Pointer[trap]

// Hit ends the process if the point is armed and it is the hit that was meant.
func Hit(name string) {
	if t := armed.Load(); t != nil {
		t.hit(name)
	}
}

func (t *trap) hit(name string) {
	if t.name == name && t.write == nil && t.left.Add(-1) == 0 {
		die(name)
	}
}

// Armed tells whether the next Hit of a point ends the process: for what is to be
// left half done by it.
func Armed(name string) bool {
	t := armed.Load()
	return t != nil && t.name == name && t.left.Load() == 1
}

// Said is what the process says on standard error before it ends at a point.
func Said(name string) string { return "failpoint: killed at " + name + "\n" }

// die ends the process with nothing flushed, closed or handed over. It does not
// return: the other threads get no further than the kernel lets them.
func die(name string) {
	_, _ = os.Stderr.WriteString(Said(name))
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}

// Arm arms one point, and disarms any other: "name" or "name:count".
func Arm(spec string) error {
	name, number, counted := strings.Cut(spec, ":")
	count := int64(1)
	if counted {
		var err error
		if count, err = strconv.ParseInt(number, 10, 64); err != nil || count < 1 {
			return fmt.Errorf("arm failpoint %s: %q is not the number of a hit, which is 1 or more", name, number)
		}
	}
	if What(name) == "" {
		return fmt.Errorf("arm failpoint %s: there is none of that name; internal/failpoint/points.go lists them", name)
	}
	t := &trap{name: name}
	t.left.Store(count)
	armed.Store(t)
	return nil
}

// Write is Hit for a point at which something is about to be written to a path. It
// returns the error of the one who was given to Intercept: nothing is written then.
func Write(name, path string) error {
	t := armed.Load()
	if t == nil {
		return nil
	}
	if t.name == name && t.write != nil {
		return t.write(path)
	}
	t.hit(name)
	return nil
}

// Intercept has write asked before each write of a point, for tests in which a disk is
// slow, or a process ends that cannot be killed. No point ends the process then. A
// write that is nil undoes that.
func Intercept(name string, write func(path string) error) {
	if write == nil {
		armed.Store(nil)
		return
	}
	armed.Store(&trap{name: name, write: write})
}

// FromEnvironment arms the point that the environment names, if any.
func FromEnvironment() error {
	if spec := os.Getenv(Variable); spec != "" {
		return Arm(spec)
	}
	return nil
}
