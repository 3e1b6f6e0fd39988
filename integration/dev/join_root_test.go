//go:build root

package dev_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

func contextOf(t *testing.T) context.Context {
	if t.Context().Err() != nil {
		return context.Background()
	}
	return t.Context()
}

// background runs muster in a member's namespace until the test ends, and
// returns what it printed so far.
func background(t *testing.T, c *harness.Cluster, member string, args ...string) (output func() string) {
	t.Helper()
	out := &lockedBuffer{}
	all := append([]string{"dev", "exec", "--name", c.Name, "--data-dir", c.Dir, member, "--", harness.Muster()}, args...)
	cmd := exec.Command(harness.Muster(), all...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("muster %s: %v\n%s", args[0], err, out.String())
		}
	})
	return out.String
}

func token(t *testing.T, c *harness.Cluster, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Muster(), append([]string{"token", "create", "--kubeconfig", c.Kubeconfig()}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestMachinesJoinByAToken lets a further server and a further node in, from the
// place of the node whose agent makes room for them.
func TestMachinesJoinByAToken(t *testing.T) {
	c := up(t, "join", 1, 1)
	if _, err := c.Dev(t.Context(), "kill", "node1/agent"); err != nil {
		t.Fatal(err)
	}
	ip := strings.Fields(kubectl(t, c, "get", "node", "node1", "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`))[0]

	wrong := token(t, c, "--role", "server")
	out, err := c.Exec(t.Context(), "node1", harness.Muster(), "agent", "--join", wrong, "--name", "x", "--data-dir", filepath.Join(c.Dir, "x"))
	if err == nil || !strings.Contains(out, "does not let in a node") {
		t.Errorf("a server's token for a node: %v", err)
	}

	log := background(t, c, "node1", "server", "--join", wrong, "--name", "s9", "--advertise-address", ip, "--data-dir", filepath.Join(c.Dir, "s9"))
	if err := harness.Eventually(t.Context(), 30*time.Second, func() error {
		out, err := harness.Run(t.Context(), "", harness.Muster(), "members", "--kubeconfig", c.Kubeconfig())
		if err == nil && !strings.Contains(out, ip+":6443") {
			err = fmt.Errorf("s9 is no member:\n%s\n%s", out, log())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestANodeJoinsByAToken(t *testing.T) {
	c := up(t, "join", 1, 1)
	if _, err := c.Dev(t.Context(), "kill", "node1/agent"); err != nil {
		t.Fatal(err)
	}
	ip := strings.Fields(kubectl(t, c, "get", "node", "node1", "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`))[0]
	log := background(t, c, "node1", "agent", "--join", token(t, c), "--name", "n9", "--node-ip", ip,
		"--data-dir", filepath.Join(c.Dir, "n9"), "--containerd", filepath.Join(c.Dir, "node1", "containerd", "containerd.sock"),
		"--cgroup-parent", "/muster-dev/"+c.Name+"/node1")
	// kubectl wait fails at once for a node that has not registered yet.
	if err := harness.Eventually(t.Context(), 30*time.Second, func() error {
		_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "wait", "--for=condition=Ready", "node/n9", "--timeout=10s")
		return err
	}); err != nil {
		t.Fatalf("%v\n%s", err, log())
	}
}
