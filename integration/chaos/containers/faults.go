package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/clock"
	"github.com/musterhq/muster/integration/chaos/nft"
	"github.com/musterhq/muster/integration/harness"
)

// joinTime is how long a server may take to join.
const joinTime = 45 * time.Second

func (c *Cluster) note(member string, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[member] = down
}

func (c *Cluster) isDown(member string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down[member]
}

func (c *Cluster) do(ctx context.Context, member string, verb ...string) error {
	_, err := c.docker(ctx, append(verb, harness.Container(member))...)
	return err
}

// Kill implements chaos.Processes.
func (c *Cluster) Kill(ctx context.Context, member string) error {
	c.note(member, true)
	return c.do(ctx, member, "kill")
}

// Stop implements chaos.Processes.
func (c *Cluster) Stop(ctx context.Context, member string) error {
	c.note(member, true)
	return c.do(ctx, member, "stop", "--time", "30")
}

// Start implements chaos.Processes. The container gets another network namespace,
// with no rules in it.
func (c *Cluster) Start(ctx context.Context, member string) error {
	if err := c.do(ctx, member, "start"); err != nil {
		return err
	}
	c.note(member, false)
	c.mu.Lock()
	by := c.ahead[member]
	c.mu.Unlock()
	if by == 0 {
		return c.shape(ctx, member)
	}
	return errors.Join(c.shape(ctx, member), c.moveClock(member, by))
}

// MoveClock implements chaos.Clocks.
func (c *Cluster) MoveClock(member string, by time.Duration) error {
	c.mu.Lock()
	c.ahead[member] = by
	c.mu.Unlock()
	if c.isDown(member) { // Start does it
		return nil
	}
	return c.moveClock(member, by)
}

func (c *Cluster) moveClock(member string, by time.Duration) error {
	pid, err := c.pid(context.Background(), member)
	if err != nil {
		return err
	}
	return clock.Move(pid, by)
}

// pid is a container's first process, the server.
func (c *Cluster) pid(ctx context.Context, member string) (int, error) {
	out, err := c.inspect(ctx, member, "{{.State.Pid}}")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// Pause implements chaos.Processes. It is by a signal, as processes are held that
// are in no container: docker's pause keeps a process from stopping for its clock
// to be moved.
func (c *Cluster) Pause(ctx context.Context, member string) error {
	return c.signal(ctx, member, syscall.SIGSTOP)
}

// Resume implements chaos.Processes.
func (c *Cluster) Resume(ctx context.Context, member string) error {
	return c.signal(ctx, member, syscall.SIGCONT)
}

func (c *Cluster) signal(ctx context.Context, member string, signal syscall.Signal) error {
	pid, err := c.pid(ctx, member)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

// Ended implements chaos.Processes. docker starts one that ended by itself again, and
// counts that.
func (c *Cluster) Ended() error {
	var errs []error
	for _, m := range c.members {
		state, err := c.inspect(context.Background(), m, "{{.State.Running}} {{.RestartCount}}")
		if err == nil && !c.isDown(m) && state != "true 0" {
			err = fmt.Errorf("%s ended by itself (running, restarts: %s): its log tells why", m, state)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Shape implements chaos.Cluster.
func (c *Cluster) Shape(ctx context.Context, links map[chaos.Pair]chaos.Quality) error {
	c.mu.Lock()
	c.links = maps.Clone(links)
	c.mu.Unlock()
	var errs []error
	for _, m := range c.members {
		if !c.isDown(m) {
			errs = append(errs, c.shape(ctx, m))
		}
	}
	return errors.Join(errs...)
}

// shape gives a member's namespace the rules of today.
func (c *Cluster) shape(ctx context.Context, member string) error {
	pid, err := c.pid(ctx, member)
	if err != nil {
		return err
	}
	c.mu.Lock()
	script := nft.Script(member, c.links, func(m string) netip.Addr { return c.address[m] })
	c.mu.Unlock()
	_, err = harness.Run(context.WithoutCancel(ctx), script, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid), "nft", "-f", "-")
	return err
}

// Replace implements chaos.Cluster: the old server is killed and removed, and its
// data with it; then one joins by a token, under the same name.
func (c *Cluster) Replace(ctx context.Context, member string) error {
	if err := c.Kill(ctx, member); err != nil {
		return err
	}
	if err := harness.Eventually(ctx, joinTime, func() error { // it may have led
		_, err := c.compose.Muster(ctx, "members", "remove", member)
		if err != nil && strings.Contains(err.Error(), "is no member") {
			return nil // the answer was lost
		}
		return err
	}); err != nil {
		return fmt.Errorf("replace %s: %w", member, err)
	}
	if err := c.join(ctx, member); err != nil {
		return fmt.Errorf("replace %s: %w", member, err)
	}
	return c.Start(ctx, member)
}

// join empties a server's volume and lets one join with it, in a container that is
// removed once it has: from then on the old container starts as before.
func (c *Cluster) join(ctx context.Context, member string) error {
	volume := "muster_" + member
	if _, err := c.docker(ctx, "run", "--rm", "--network", "none", "--volume", volume+":/volume", "--entrypoint", "/bin/rm", "muster/node", "-rf", "/volume/server"); err != nil {
		return err
	}
	var token string
	if err := harness.Eventually(ctx, joinTime, func() (err error) { // another leads since the old server was killed
		token, err = harness.Output(ctx, harness.Muster(), "token", "create", "--role", "server", "--kubeconfig", c.compose.Kubeconfig())
		return err
	}); err != nil {
		return err
	}
	const joiner = "muster-joiner"
	_, err := c.docker(ctx, "run", "--detach", "--name", joiner, "--network", network, "--ip", c.address[member].String(), "--volume", volume+":/var/lib/muster",
		"muster/control-plane", "apiserver", "--name", member, "--join", strings.TrimSpace(token))
	if err == nil {
		err = harness.Eventually(ctx, joinTime, func() error { return chaos.Belongs(ctx, c, member) })
	}
	_, stopped := c.docker(ctx, "stop", "--time", "30", joiner)
	if err != nil {
		log, _ := c.compose.Logs(ctx, "joiner")
		err = fmt.Errorf("join: %w\n%s", err, log)
	}
	_, removed := c.docker(ctx, "rm", "--force", joiner)
	return errors.Join(err, stopped, removed)
}
