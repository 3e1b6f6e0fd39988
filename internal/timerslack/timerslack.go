// Package timerslack has the kernel wake a server's threads less often.
//
// Go's runtime has a thread that looks every 20 µs whether a goroutine sits in a
// system call and keeps its processor from others, for as long as the process
// has something to do. Linux lets it sleep 50 µs longer, the timer slack of any
// process (PR_SET_TIMERSLACK(2const)). The leader of a store that wrote 430
// entries a second slept so 5,500 times a second, to find, mostly, that a write
// had ended meanwhile; and where it had not, the processor went to a thread that
// had to be woken and found little to do. With a longer slack the thread wakes
// with others, or after them. docs/store-benchmark.md has what that brings.
package timerslack

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// slack is how much later than asked a thread may wake. A goroutine that computes
// is still interrupted after some 10 ms, and no timer of a server is meant to the
// millisecond. A goroutine in a system call keeps its processor for twice as long
// at most. Of 0.3 to 10 ms, 2 and 3 brought the most puts.
const slack = 2 * time.Millisecond

// again is set in the environment while the process becomes itself again, and
// keeps it from doing so twice where the kernel does not keep what was set.
const again = "MUSTER_TIMER_SLACK_SET"

// Relax sets the slack for all threads of this process. A thread has it of the one
// that made it, and the runtime has made some before main, so the process executes
// itself again: Relax is to be called before anything else is begun, by programs
// that start no others, which would inherit it. It returns nil where it is set,
// also by who started the process, and where there is a single processor, which a
// system call would then keep from all others. With an error nothing has changed.
func Relax() error {
	if os.Getenv(again) != "" {
		return os.Unsetenv(again)
	}
	if runtime.GOMAXPROCS(0) < 2 {
		return nil
	}
	runtime.LockOSThread() // which the new program's threads come from
	defer runtime.UnlockOSThread()
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("get timer slack: %w", err)
	}
	if time.Duration(now) >= slack {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	err = becomeAgain()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(now), 0, 0, 0) // to what it was
	return fmt.Errorf("keep timer slack: %w", err)
}

func becomeAgain() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", self, syscall.Exec(self, os.Args, append(os.Environ(), again+"=1")))
}
