package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Fault is something done to a member.
type Fault string

// The faults, and what undoes them.
const (
	Kill   Fault = "kill"
	Start  Fault = "start"
	Pause  Fault = "pause"
	Resume Fault = "resume"
	Cut    Fault = "cut"
	Heal   Fault = "heal"
)

// Do does it to a member ("node1") or to one of its processes ("node1/agent").
// A start that ends at once is an error with the process's last words.
func Do(ctx context.Context, name, dir string, fault Fault, target string) error {
	c, unlock, err := Open(name, dir)
	if err != nil {
		return err
	}
	defer unlock()
	m, process, err := c.find(target)
	if err != nil {
		return err
	}
	err = c.do(fault, m, process)
	if err == nil {
		err = c.save()
	}
	if err == nil && fault == Start {
		err = c.awaitStart(ctx, m, process)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", fault, target, err)
	}
	return nil
}

func (c *Cluster) do(fault Fault, m *Member, process string) error {
	switch fault {
	case Kill:
		if process != "" {
			return c.killProcess(m, process)
		}
		return c.powerOff(m)
	case Start:
		if _, err := os.Stat(filepath.Join(netnsDir, c.netns(m))); err != nil {
			if err := c.attach(m); err != nil {
				return err
			}
		}
		return c.start(m, process)
	case Pause:
		return c.signal(m, process, unix.SIGSTOP)
	case Resume:
		return c.signal(m, process, unix.SIGCONT)
	case Cut, Heal:
		if process != "" {
			return errors.New("a member has one cable: name the member only")
		}
		return c.setLink(m, fault == Heal)
	}
	return fmt.Errorf("no fault %q", fault)
}

// killProcess kills one process and waits until it is gone.
func (c *Cluster) killProcess(m *Member, name string) error {
	for _, p := range m.Processes {
		if p.Name != name {
			continue
		}
		if err := p.signal(unix.SIGKILL); err != nil {
			return err
		}
		for deadline := time.Now().Add(5 * time.Second); p.state() != "dead"; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d does not end", p.Pid)
			}
		}
	}
	return nil
}

func (c *Cluster) signal(m *Member, process string, sig unix.Signal) error {
	if process != "" {
		for _, p := range m.Processes {
			if p.Name == process {
				return p.signal(sig)
			}
		}
		return errors.New("it was never started")
	}
	pids, err := c.pids(m)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return errors.New("nothing runs there")
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("process %d: %w", pid, err)
		}
	}
	return nil
}
