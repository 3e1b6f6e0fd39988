//go:build root

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// TestLoneServerWithoutItsLog takes the log away from a cluster of one. It must
// neither wait for others that never were nor begin with an empty log.
func TestLoneServerWithoutItsLog(t *testing.T) {
	m := newMachine(t, nil, 242)
	dir := filepath.Join(m.dir, "s")
	args := []string{"server", "--name", "alone", "--advertise-address", m.ip, "--data-dir", dir}
	server := m.start(t, append([]string{harness.Muster()}, args...)...)
	server.says(t, "server is ready")
	server.end(t)
	raft := filepath.Join(dir, "raft")
	if err := os.Rename(raft, raft+".lost"); err != nil {
		t.Fatal(err)
	}
	m.refuses(t, args, "the log of this server is gone", raft, "restore", "backup")
	if err := os.Mkdir(raft, 0o700); err != nil {
		t.Fatal(err)
	}
	m.refuses(t, args, "the log of this server is gone", raft)
	if err := os.Remove(raft); err != nil {
		t.Fatal(err)
	}
	// Restored, it is as before.
	if err := os.Rename(raft+".lost", raft); err != nil {
		t.Fatal(err)
	}
	m.start(t, append([]string{harness.Muster()}, args...)...).says(t, "server is ready")
}

// TestRemovedServers removes servers that run and one that does not. None may
// come back by itself; with a new directory and a token it may.
func TestRemovedServers(t *testing.T) {
	c := ownCluster(t, "rmd", 3, 0)
	members := func(args ...string) string {
		t.Helper()
		out, err := harness.Run(t.Context(), "", harness.Muster(), append(append([]string{"members"}, args...), "--kubeconfig", c.Kubeconfig())...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const again = "to join again, move"
	removed := []string{"was removed from the cluster", again, "muster token create"}
	kept := func(names ...string) {
		t.Helper()
		out := members()
		if strings.Count(out, ":6443") != len(names) {
			t.Errorf("members are not %v:\n%s", names, out)
		}
		for _, name := range names {
			if !strings.Contains(out, name) {
				t.Errorf("%s is no member:\n%s", name, out)
			}
		}
	}
	machine3, dir3 := &machine{namespace: "muster-" + c.Name + ".server3"}, filepath.Join(c.Dir, "server3")
	args3 := []string{"server", "--name", "server3", "--advertise-address", addressOf(t, c, 13), "--data-dir", dir3}

	// Removed while it was down, it does not come back with its old data.
	if _, err := c.Dev(t.Context(), "kill", "server3"); err != nil {
		t.Fatal(err)
	}
	members("remove", "server3")
	leader := leaderOf(t, members())
	for range 3 {
		machine3.refuses(t, args3, removed...)
	}
	kept("server1", "server2")
	if now := leaderOf(t, members()); now != leader {
		t.Errorf("%s leads, %s did", now, leader)
	}

	// It joins again as its message tells.
	if err := os.Rename(dir3, dir3+".old"); err != nil {
		t.Fatal(err)
	}
	server3 := machine3.start(t, append([]string{harness.Muster()}, append(args3, "--join", token(t, c, "--role", "server"))...)...)
	server3.says(t, "server is ready")
	kept("server1", "server2", "server3")

	// A follower that runs ends when it is removed.
	members("remove", "server3")
	for _, words := range removed {
		server3.says(t, words)
	}
	machine3.refuses(t, args3, removed...)
	kept("server1", "server2")

	// So does the leader.
	leader = leaderOf(t, members())
	members("remove", leader)
	endsSaying(t, c, leader, removed...)
	out, err := c.Dev(t.Context(), "start", leader)
	if err == nil { // it answered before it knew
		endsSaying(t, c, leader, removed...)
	} else {
		refusal(t, out, err, removed...)
	}
	if out := members(); strings.Count(out, ":6443") != 1 || strings.Contains(out, leader) {
		t.Errorf("members:\n%s", out)
	}
}

// end ends a process in order.
func (p *process) end(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t, func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil || !strings.Contains(string(stat), ") Z ") {
			return errorf("it runs: %s %v", stat, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// endsSaying waits until a dev cluster's server has ended and checks what it said last.
func endsSaying(t *testing.T, c *harness.Cluster, name string, want ...string) {
	t.Helper()
	if err := eventually(t, func() error {
		content, err := os.ReadFile(filepath.Join(c.Dir, "logs", name+"-server.log"))
		if err != nil {
			return err
		}
		last := string(content[max(0, strings.LastIndex(string(content), "\nmuster: ")):])
		if strings.Contains(last, "\ntime=") {
			return errorf("%s was started again, and has not ended", name)
		}
		for _, words := range want {
			if !strings.Contains(last, words) {
				return errorf("%s did not say %q: %s", name, words, last[max(0, len(last)-1000):])
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// leaderOf reads who leads from what muster members prints.
func leaderOf(t *testing.T, members string) string {
	t.Helper()
	for line := range strings.Lines(members) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "leader" {
			return fields[0]
		}
	}
	t.Fatalf("nobody leads:\n%s", members)
	return ""
}

// TestTagLoadedWhileAServerIsDown loads an image anew, under the tag it had, while
// one server is off. When it is back it serves the new one, whole.
func TestTagLoadedWhileAServerIsDown(t *testing.T) {
	c := ownCluster(t, "tag", 3, 0)
	load := func(content string) {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "file"), content)
		for _, args := range [][]string{
			{"image", "pack", "--image", "tagged:1", "--file", dir + "/file:/file", "--entrypoint", "/file", "--output", dir + "/image.tar"},
			{"image", "load", "--kubeconfig", c.Kubeconfig(), dir + "/image.tar"},
		} {
			if out, err := harness.Run(t.Context(), "", harness.Muster(), args...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	const image = "/v2/docker.io/library/tagged/"
	ask := func(host byte, path string) (string, error) {
		return c.Kubectl(t.Context(), harness.OwnKubectl(), "", "--server", "https://"+addressOf(t, c, host)+":6443", "get", "--raw", image+path)
	}
	load("old")
	old, err := ask(12, "manifests/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Dev(t.Context(), "kill", "server2"); err != nil {
		t.Fatal(err)
	}
	load("new")
	want, err := ask(11, "manifests/1")
	if err != nil || want == old {
		t.Fatalf("loaded anew: %v\n%s", err, want)
	}
	if _, err := c.Dev(t.Context(), "start", "server2"); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := eventually(t, func() (err error) {
		got, err = ask(12, "manifests/1")
		return err
	}); err != nil || got != want {
		t.Fatalf("the server that was down: %v\n%s\nwant\n%s", err, got, want)
	}
	for _, digest := range regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindAllString(got, -1) {
		if _, err := ask(12, "blobs/"+digest); err != nil {
			t.Errorf("blob %s: %v", digest, err)
		}
	}
}
