package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Resident returns the bytes of its memory that are resident.
func (p *Process) Resident() (int64, error) {
	if p.cmd == nil {
		return 0, errors.New("resident memory: not started")
	}
	bytes, err := Resident(p.cmd.Process.Pid)
	if err != nil {
		err = fmt.Errorf("%w, see %s", err, p.Log)
	}
	return bytes, err
}

// Resident returns the bytes of a process's memory that are resident, as VmRSS in
// /proc/PID/status (see proc(5)).
func Resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("resident memory: the process has ended")
}

// tick is what the kernel counts processor time in, for everybody who asks it
// (USER_HZ, see time(7)).
const tick = 10 * time.Millisecond

// Used returns the processor time that it has used since its start; see Used.
func (p *Process) Used() time.Duration {
	if p == nil || p.cmd == nil {
		return 0
	}
	return Used(p.cmd.Process.Pid)
}

// Used returns the processor time that a process has used since its start, of user
// and system together, from /proc/PID/stat (see proc(5)). It is 0 once it has ended.
func Used(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field, the name in brackets, may hold blanks.
	_, rest, _ := strings.Cut(string(stat), ") ")
	const utime, stime = 11, 12
	fields := strings.Fields(rest)
	if len(fields) <= stime {
		return 0
	}
	user, _ := strconv.ParseInt(fields[utime], 10, 64)
	system, _ := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * tick
}

// Own returns the processor time that this process has used.
func Own() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
