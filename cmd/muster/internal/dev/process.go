package dev

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The processes of a member.
const (
	serverProcess     = "server"
	agentProcess      = "agent"
	containerdProcess = "containerd"
)

// Process is one that was started, told from a later one of the same number by
// when it began.
type Process struct {
	Name      string `json:"name"`
	Pid       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
}

// spec says what to start and where.
type spec struct {
	name   string
	cgroup string // of the member
	netns  string // file; empty for the machine's own
	log    string
	args   []string // of our own binary, or command
	// command is the program when it is not our own binary.
	command string
}

// spawn starts a process in a session of its own, so that it outlives this
// command. It enters its cgroup and namespace before it runs (see Enter).
func spawn(s spec) (Process, error) {
	binary, err := os.Executable()
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	cgroup, err := systemCgroup(s.cgroup)
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	program := s.command
	if program == "" {
		program = binary
	}
	args := []string{"dev", "enter", "--cgroup", cgroup}
	if s.netns != "" {
		args = append(args, "--netns", s.netns)
	}
	cmd := exec.Command(binary, append(append(args, "--", program), s.args...)...)
	if err := os.MkdirAll(filepath.Dir(s.log), 0o755); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	pid := cmd.Process.Pid
	stat, err := readStat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	// It is not ours to wait for: it lives on when this command ends.
	if err := cmd.Process.Release(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	return Process{Name: s.name, Pid: pid, StartTime: stat.startTime}, nil
}

// procStat is what is read of /proc/PID/stat.
type procStat struct {
	state     byte
	startTime uint64
}

func readStat(pid int) (procStat, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	// The command's name is in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(content[bytes.LastIndexByte(content, ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return procStat{}, fmt.Errorf("process %d: unreadable status", pid)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("process %d: start time: %w", pid, err)
	}
	return procStat{state: fields[0][0], startTime: start}, nil
}

// state says what a process is doing: "running", "paused" or "dead".
func (p Process) state() string {
	stat, err := readStat(p.Pid)
	switch {
	case p.Pid == 0, err != nil, stat.startTime != p.StartTime, ended(p.Pid, stat):
		return "dead"
	case stat.state == 'T':
		return "paused"
	}
	return "running"
}

// ended says whether nothing of a process runs any more. Its first thread may
// be a zombie while another one is becoming a new program.
func ended(pid int, stat procStat) bool {
	if stat.state != 'Z' && stat.state != 'X' {
		return false
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	return err != nil || len(threads) < 2
}

// signal sends to the recorded process, never to another of its number.
func (p Process) signal(sig unix.Signal) error {
	if p.state() == "dead" {
		return nil
	}
	if err := unix.Kill(p.Pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %s (process %d): %w", p.Name, p.Pid, err)
	}
	return nil
}

// inNamespace lists the processes in a named network namespace.
func inNamespace(name string) ([]int, error) {
	var want unix.Stat_t
	err := unix.Stat(filepath.Join(netnsDir, name), &want)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		var got unix.Stat_t
		if unix.Stat("/proc/"+entry.Name()+"/ns/net", &got) == nil && got.Ino == want.Ino && got.Dev == want.Dev {
			out = append(out, pid)
		}
	}
	return out, nil
}

// killAll kills what list returns, until it returns nothing any more.
func killAll(what string, list func() ([]int, error)) error {
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	for {
		pids, err := list()
		if err != nil {
			return err
		}
		alive := pids[:0]
		for _, pid := range pids {
			if stat, err := readStat(pid); err == nil && !ended(pid, stat) && pid != os.Getpid() {
				alive = append(alive, pid)
			}
		}
		if len(alive) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill %s: processes %v are still there after %v", what, alive, patience)
		}
		for _, pid := range alive {
			_ = unix.Kill(pid, unix.SIGKILL) // gone already is what is wanted
		}
		time.Sleep(10 * time.Millisecond)
	}
}
