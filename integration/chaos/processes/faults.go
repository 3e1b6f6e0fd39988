package processes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/clock"
	"github.com/musterhq/muster/integration/harness"
)

const (
	// endTime is how long a server may take to end in order.
	endTime = 30 * time.Second
	// hiddenTime is how long a start is watched of a server that nobody can ask.
	hiddenTime = 3 * time.Second
	// joinTime is how long a server may take to join.
	joinTime = 45 * time.Second
)

// do runs a command of `muster dev` to its end, also when ctx ends meanwhile.
func (c *Cluster) do(ctx context.Context, verb, member string) error {
	_, err := c.dev.Dev(context.WithoutCancel(ctx), verb, member)
	return err
}

func (c *Cluster) note(member string, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[member] = down
}

// Kill implements chaos.Processes.
func (c *Cluster) Kill(ctx context.Context, member string) error {
	c.note(member, true)
	return c.do(ctx, "kill", member)
}

// Start implements chaos.Processes.
func (c *Cluster) Start(ctx context.Context, member string) error {
	defer c.note(member, false)
	if err := c.start(ctx, member); err != nil {
		return err
	}
	c.mu.Lock()
	by := c.ahead[member]
	c.mu.Unlock()
	if by == 0 {
		return nil
	}
	return c.moveClock(member, by)
}

// Pause implements chaos.Processes.
func (c *Cluster) Pause(ctx context.Context, member string) error { return c.do(ctx, "pause", member) }

// Resume implements chaos.Processes.
func (c *Cluster) Resume(ctx context.Context, member string) error {
	return c.do(ctx, "resume", member)
}

// start does not wait for the answer of a server that cannot give one: all other
// commands of `muster dev` would wait as well, and what is due be mended late.
func (c *Cluster) start(ctx context.Context, member string) error {
	if !c.hidden(member) {
		return c.do(ctx, "start", member)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hiddenTime)
	defer cancel()
	command := exec.CommandContext(ctx, harness.Muster(), "dev", "start", "--name", c.dev.Name, "--data-dir", c.dev.Dir, member)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	out, err := command.CombinedOutput()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("start %s: %w\n%s", member, err, out)
	}
	return nil
}

// MoveClock implements chaos.Clocks.
func (c *Cluster) MoveClock(member string, by time.Duration) error {
	c.mu.Lock()
	c.ahead[member] = by
	down := c.down[member]
	c.mu.Unlock()
	if down { // Start does it
		return nil
	}
	return c.moveClock(member, by)
}

func (c *Cluster) moveClock(member string, by time.Duration) error {
	pid, err := c.pid(member)
	if err != nil {
		return err
	}
	return clock.Move(pid, by)
}

// Stop implements chaos.Processes.
func (c *Cluster) Stop(ctx context.Context, member string) error {
	c.note(member, true)
	pid, err := c.pid(member)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", member, err)
	}
	return harness.Eventually(context.WithoutCancel(ctx), endTime, func() error {
		if runs(pid) {
			return fmt.Errorf("stop %s: process %d does not end", member, pid)
		}
		return nil
	})
}

func (c *Cluster) pid(member string) (int, error) {
	all, err := c.recorded()
	if err != nil {
		return 0, err
	}
	for _, m := range all {
		if m.Name == member && len(m.Processes) == 1 {
			return m.Processes[0].Pid, nil
		}
	}
	return 0, fmt.Errorf("no process of %s is recorded", member)
}

// runs says whether a process is there and not only its exit status.
func runs(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
}

// Ended implements chaos.Processes.
func (c *Cluster) Ended() error {
	var errs []error
	for _, m := range c.members {
		c.mu.Lock()
		down := c.down[m]
		c.mu.Unlock()
		if pid, err := c.pid(m); err != nil {
			errs = append(errs, err)
		} else if !down && !runs(pid) {
			errs = append(errs, fmt.Errorf("%s ended by itself: its log tells why", m))
		}
	}
	return errors.Join(errs...)
}

// Replace implements chaos.Cluster: the old server is killed and removed, and its
// data moved away; then one joins by a token, under the same name.
func (c *Cluster) Replace(ctx context.Context, member string) error {
	if err := c.Kill(ctx, member); err != nil {
		return err
	}
	if err := harness.Eventually(ctx, joinTime, func() error { // it may have led
		_, err := harness.Run(ctx, "", harness.Muster(), "members", "remove", member, "--kubeconfig", c.dev.Kubeconfig())
		if err != nil && strings.Contains(err.Error(), "is no member") {
			return nil // the answer was lost
		}
		return err
	}); err != nil {
		return fmt.Errorf("replace %s: %w", member, err)
	}
	dir := filepath.Join(c.dev.Dir, member)
	if err := errors.Join(os.RemoveAll(dir+".old"), os.Rename(dir, dir+".old")); err != nil {
		return fmt.Errorf("replace %s: %w", member, err)
	}
	if err := c.join(ctx, member, dir); err != nil {
		return fmt.Errorf("replace %s: %w", member, err)
	}
	return c.Start(ctx, member)
}

// join lets a server with an empty directory join, waits until it serves, and
// ends it: from then on it is started as before.
func (c *Cluster) join(ctx context.Context, member, dir string) error {
	var token string
	if err := harness.Eventually(ctx, joinTime, func() (err error) { // another leads since the old server was killed
		token, err = harness.Output(ctx, harness.Muster(), "token", "create", "--role", "server", "--kubeconfig", c.dev.Kubeconfig())
		return err
	}); err != nil {
		return err
	}
	var log bytes.Buffer
	server := exec.Command(harness.Muster(), "dev", "exec", "--name", c.dev.Name, "--data-dir", c.dev.Dir, member, "--",
		harness.Muster(), "server", "--name", member, "--data-dir", dir, "--advertise-address", c.address[member].String(), "--join", strings.TrimSpace(token))
	server.Stdout, server.Stderr = &log, &log
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for us to pass on
	if err := server.Start(); err != nil {
		return err
	}
	joined := harness.Eventually(ctx, joinTime, func() error { return chaos.Belongs(ctx, c, member) })
	_ = server.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(endTime, func() { _ = server.Process.Kill() })
	defer late.Stop()
	if err := errors.Join(joined, server.Wait()); err != nil {
		return fmt.Errorf("join: %w\n%s", err, log.String())
	}
	return nil
}
