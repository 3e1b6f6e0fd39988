//go:build root

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// machine is a further one beside a dev cluster, or one all alone: a network
// namespace with an address and a directory.
type machine struct {
	namespace, ip, dir string
}

// newMachine makes one, plugged into the cluster's bridge unless that is nil.
func newMachine(t *testing.T, c *harness.Cluster, host byte) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") // sockets' paths are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &machine{namespace: fmt.Sprintf("mt%d-%d", os.Getpid(), host), ip: "10.90.0.1", dir: dir}
	ip(t, "netns", "add", m.namespace)
	t.Cleanup(func() { ip(t, "netns", "del", m.namespace) })
	in := func(args ...string) { ip(t, append([]string{"-n", m.namespace}, args...)...) }
	in("link", "set", "lo", "up")
	if c == nil {
		in("link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
		in("link", "set", "eth1", "up")
	} else {
		index := indexOf(t, c)
		m.ip = netip.AddrFrom4([4]byte{10, 89, index, host}).String()
		outside := m.namespace // a name that no other run on this machine takes
		ip(t, "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", m.namespace)
		ip(t, "link", "set", outside, "master", fmt.Sprintf("muster-dev%d", index), "up")
	}
	in("addr", "add", m.ip+"/24", "dev", "eth0")
	in("link", "set", "eth0", "up")
	return m
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if _, err := harness.Run(contextOf(t), "", "ip", args...); err != nil {
		t.Fatal(err)
	}
}

func indexOf(t *testing.T, c *harness.Cluster) byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.Dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Index byte }
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	return state.Index
}

// inside are nsenter's arguments. (ip netns exec would hide the cgroups.)
func (m *machine) inside(command []string) []string {
	return append([]string{"--net=/run/netns/" + m.namespace, "--"}, command...)
}

// run runs a command on the machine to its end, within 15 seconds.
func (m *machine) run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(contextOf(t), 15*time.Second)
	defer cancel()
	out, err := harness.Run(ctx, "", "nsenter", m.inside(command)...)
	if ctx.Err() != nil {
		t.Errorf("%v did not end within 15 s", command)
	}
	return out, err
}

// refuses expects that muster ends with an error that says all of want.
func (m *machine) refuses(t *testing.T, args []string, want ...string) {
	t.Helper()
	out, err := m.run(t, append([]string{harness.Muster()}, args...)...)
	refusal(t, out, err, want...)
}

func refusal(t *testing.T, out string, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("it succeeded:\n%s", out)
	}
	for _, words := range want {
		if !strings.Contains(out, words) {
			t.Errorf("said\n%s\nnot %q", out, words)
		}
	}
}

// process is one that a machine runs in the background.
type process struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// says waits until the process has said something.
func (p *process) says(t *testing.T, words string) {
	t.Helper()
	if err := eventually(t, func() error {
		if log := p.log(); !strings.Contains(log, words) {
			return errorf("it does not say %q:\n%s", words, log)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// start runs a command until the test ends.
func (m *machine) start(t *testing.T, command ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("nsenter", m.inside(command)...)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		hard := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		err := p.cmd.Wait()
		if !hard.Stop() {
			t.Errorf("%v did not end on SIGTERM:\n%s", command, p.log())
		} else if err != nil && t.Failed() {
			t.Logf("%v ended: %v\n%s", command, err, p.log())
		}
	})
	return p
}

// ownCluster starts a cluster for what is disruptive.
func ownCluster(t *testing.T, name string, servers, nodes int) *harness.Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := harness.Up(t.Context(), fmt.Sprintf("%s%d", name, os.Getpid()), filepath.Join(dir, "c"), servers, nodes)
	t.Cleanup(func() {
		if err := c.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// token makes a join token.
func token(t *testing.T, c *harness.Cluster, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Muster(), append([]string{"token", "create", "--kubeconfig", c.Kubeconfig()}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
