package dev

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Enter joins a cgroup (a directory) and a network namespace (a file), each
// unless empty, and becomes the command. It returns on error only.
func Enter(cgroup, netns string, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	if cgroup != "" {
		if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("enter cgroup %s: %w", cgroup, err)
		}
	}
	// The thread that entered is the one that becomes the command.
	runtime.LockOSThread()
	if netns != "" {
		fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("enter network namespace %s: %w", netns, err)
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", netns, err)
		}
	}
	return fmt.Errorf("run %s: %w", path, unix.Exec(path, command, os.Environ()))
}

// Exec becomes a command in a member's network namespace.
func Exec(name, dir, target string, command []string) error {
	c, unlock, err := Open(name, dir)
	if err != nil {
		return err
	}
	unlock()
	m, _, err := c.find(target)
	if err != nil {
		return err
	}
	return Enter("", filepath.Join(netnsDir, c.netns(m)), command)
}
