// Package clock moves the wall clock of one process and of no other. Linux has no
// time namespace for CLOCK_REALTIME, and the machine's clock is everybody's. But a
// program of Go reads the clock by a function that the kernel maps into each
// process, the vDSO's clock_gettime: that is written over, in this process only,
// by one that adds a number of seconds to what the kernel says. Chaos Mesh's
// TimeChaos does the same.
package clock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// attempts to stop a process outside of the function, which it is in for some
	// nanoseconds at a time, and after the program has been loaded.
	attempts = 200
	// stopTime is how long a process may take to stop, or to leave the function.
	stopTime = 5 * time.Second
	pollTime = time.Millisecond
)

// Move sets a process's wall clock ahead of the machine's, or behind it for less
// than zero, in whole seconds. It needs the right to trace the process, and stops
// it for a moment; one that is stopped already stays so. A process that is started
// anew has the machine's clock.
func Move(pid int, by time.Duration) error {
	if err := move(pid, by); err != nil {
		return fmt.Errorf("move the clock of process %d by %v: %w", pid, by, err)
	}
	return nil
}

func move(pid int, by time.Duration) error {
	code, err := replacement(by)
	if err != nil {
		return err
	}
	for range attempts {
		var written bool
		err = stopped(pid, func() (err error) {
			written, err = write(pid, code)
			return err
		})
		if written || err != nil && !errors.Is(err, errUnmapped) {
			return err
		}
		time.Sleep(pollTime)
	}
	if err == nil {
		err = errors.New("it is in clock_gettime whenever it is stopped")
	}
	return err
}

// write puts the code where the function is, unless a thread is in there.
func write(pid int, code []byte) (bool, error) {
	f, err := find(pid)
	if err != nil {
		return false, err
	}
	if len(code) > int(f.size) {
		return false, fmt.Errorf("the kernel's clock_gettime has %d bytes, %d are needed", f.size, len(code))
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = memory.Close() }()
	there := make([]byte, len(code))
	if _, err := memory.ReadAt(there, int64(f.address)); err != nil {
		return false, err
	}
	// What was written before differs in the number only, wherever a thread is.
	if !bytes.HasPrefix(there, code[:seconds]) {
		inside, err := f.entered(pid)
		if err != nil || inside {
			return false, err
		}
	}
	_, err = memory.WriteAt(code, int64(f.address))
	return err == nil, err
}

// entered says whether a thread of a stopped process is in the function.
func (f function) entered(pid int) (bool, error) {
	states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil || len(states) == 0 {
		return false, fmt.Errorf("it has no threads: %w", os.ErrProcessDone)
	}
	for _, path := range states {
		content, err := os.ReadFile(path)
		if err != nil {
			return false, err
		}
		fields := strings.Fields(string(content)) // the last is the program counter
		if len(fields) < 3 {
			return true, nil // it runs still
		}
		at, err := strconv.ParseUint(fields[len(fields)-1], 0, 64)
		if err != nil {
			return false, fmt.Errorf("read %s: %w", path, err)
		}
		if at >= f.address && at < f.address+f.size {
			return true, nil
		}
	}
	return false, nil
}

// stopped does something while a process is stopped.
func stopped(pid int, do func() error) error {
	if is, err := stops(pid); err != nil || is {
		if err == nil {
			err = do()
		}
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	for start := time.Now(); ; time.Sleep(pollTime) {
		is, err := stops(pid)
		if err != nil {
			return err
		}
		if is {
			return do()
		}
		if time.Since(start) > stopTime {
			return fmt.Errorf("it does not stop within %v", stopTime)
		}
	}
}

// stops says whether all threads of a process have stopped.
func stops(pid int) (bool, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(paths) == 0 {
		return false, fmt.Errorf("it has no threads: %w", os.ErrProcessDone)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			if os.IsNotExist(err) {
				continue // the thread ended
			}
			return false, err
		}
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if len(fields) == 0 || fields[0] != "T" {
			return false, nil
		}
	}
	return true, nil
}
