//go:build root

// Package dev_test starts and ends clusters on this machine and looks at what
// they leave.
package dev_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// up starts a cluster and removes it when the test ends. Its directory is short,
// as sockets' paths must be.
func up(t *testing.T, name string, servers, nodes int) *harness.Cluster {
	t.Helper()
	if err := harness.RequireRoot(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "md")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := harness.Up(t.Context(), fmt.Sprintf("%s%d", name, os.Getpid()), filepath.Join(dir, "c"), servers, nodes)
	t.Cleanup(func() {
		if err := c.Down(contextOf(t)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kubectl(t *testing.T, c *harness.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// processes are all that a cluster recorded.
func processes(t *testing.T, c *harness.Cluster) []int {
	t.Helper()
	type process struct{ Pid int }
	var state struct {
		Balancer process
		Members  []struct{ Processes []process }
	}
	content, err := os.ReadFile(filepath.Join(c.Dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	out := []int{state.Balancer.Pid}
	for _, m := range state.Members {
		for _, p := range m.Processes {
			out = append(out, p.Pid)
		}
	}
	return out
}

func runPod(t *testing.T, c *harness.Cluster) {
	t.Helper()
	if err := c.LoadImages(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubectl(t, c, "run", "sleeper", "--image", "busybox", "--command", "--", "sleep", "3600")
	kubectl(t, c, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
}

func TestDownLeavesNothingWhateverHappened(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, c *harness.Cluster){
		"nothing": func(*testing.T, *harness.Cluster) {},
		"kill -9 of everything": func(t *testing.T, c *harness.Cluster) {
			for _, pid := range processes(t, c) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		},
		"its state is lost": func(t *testing.T, c *harness.Cluster) {
			if err := os.Remove(filepath.Join(c.Dir, "cluster.json")); err != nil {
				t.Fatal(err)
			}
		},
		"a node was killed": func(t *testing.T, c *harness.Cluster) {
			if _, err := c.Dev(t.Context(), "kill", "node1"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := harness.Footprint()
			if err != nil {
				t.Fatal(err)
			}
			c := up(t, "down", 1, 1)
			runPod(t, c)
			harm(t, c)
			if err := c.Down(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := harness.Eventually(t.Context(), 10*time.Second, func() error {
				after, err := harness.Footprint()
				if err != nil {
					return err
				}
				return after.Since(before)
			}); err != nil {
				t.Errorf("left behind: %v", err)
			}
			if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
}

func TestClustersSideBySide(t *testing.T) {
	a, b := up(t, "a", 1, 1), up(t, "b", 1, 1)
	kubectl(t, a, "create", "namespace", "only-in-a")
	if out := kubectl(t, b, "get", "namespaces"); strings.Contains(out, "only-in-a") {
		t.Errorf("two clusters share state:\n%s", out)
	}
	if err := a.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	runPod(t, b)
	if _, err := b.Dev(t.Context(), "up"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("the same cluster twice: %v", err)
	}
}

func TestKubectlSurvivesTheLossOfAnyServer(t *testing.T) {
	c := up(t, "loss", 3, 0)
	for i := 1; i <= 3; i++ {
		server := fmt.Sprintf("server%d", i)
		if _, err := c.Dev(t.Context(), "kill", server); err != nil {
			t.Fatal(err)
		}
		if err := harness.Eventually(t.Context(), 5*time.Second, func() error {
			_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "create", "configmap", server, "--request-timeout=2s")
			return err
		}); err != nil {
			t.Errorf("without %s: %v", server, err)
		}
		if _, err := c.Dev(t.Context(), "start", server); err != nil {
			t.Fatal(err)
		}
		if err := harness.Eventually(t.Context(), 20*time.Second, func() error {
			out, err := c.Dev(t.Context(), "status")
			if err == nil && strings.Count(out, "yes") != 3 {
				err = fmt.Errorf("not all servers are ready:\n%s", out)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	out := kubectl(t, c, "get", "configmaps", "-o", "name")
	for i := 1; i <= 3; i++ {
		if !strings.Contains(out, fmt.Sprintf("configmap/server%d", i)) {
			t.Errorf("a write that was acknowledged is lost: %s", out)
		}
	}
}
