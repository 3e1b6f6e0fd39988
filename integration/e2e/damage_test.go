//go:build root

package e2e_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// TestDamagedServersRefuseToStart stops one server of three, damages what it
// keeps, and starts it again by the command that a user would type.
func TestDamagedServersRefuseToStart(t *testing.T) {
	c := ownCluster(t, "dmg", 3, 0)
	run := func(args ...string) string {
		t.Helper()
		out, err := c.Kubectl(contextOf(t), harness.OwnKubectl(), "", args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("create", "configmap", "kept", "--from-literal", "a=b", "--from-literal", "written=by-the-test")
	// Read through server2, so that its own log holds the entry.
	run("--server", "https://"+addressOf(t, c, 12)+":6443", "get", "configmap", "kept")
	if _, err := c.Dev(t.Context(), "kill", "server2"); err != nil {
		t.Fatal(err)
	}
	dir, sound := filepath.Join(c.Dir, "server2"), filepath.Join(c.Dir, "sound")
	if err := os.Rename(dir, sound); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(cluster.Dir, "server2")
	const restore = "restore"
	for _, d := range []struct {
		name   string
		damage func() error
		want   []string
	}{
		{"data of another cluster", func() error {
			return copyFile(filepath.Join(other, "raft/member.json"), filepath.Join(dir, "raft/member.json"))
		},
			[]string{dir + "/raft holds the data of cluster", "belongs to another cluster"}},
		{"identity of another cluster", func() error {
			return copyFile(filepath.Join(other, "membership.json"), filepath.Join(dir, "membership.json"))
		},
			[]string{dir + "/raft holds the data of cluster", "belongs to another cluster"}},
		{"certificate of another cluster", func() error {
			return copyFile(filepath.Join(other, "pki/server.crt"), filepath.Join(dir, "pki/server.crt"))
		},
			[]string{dir + "/pki/server.crt", restore}},
		{"a log with other bytes", func() error { return flip(dir, "by-the-test") },
			[]string{dir + "/raft/log: ", "data is damaged", restore}},
		{"a log without its segments", func() error { return remove(filepath.Join(dir, "raft/log/*.wal")) },
			[]string{dir + "/raft/log: data is damaged: the log ends at entry 0 but had reached", restore}},
		{"a log without its database", func() error { return remove(filepath.Join(dir, "raft/log/wal-meta.db")) },
			[]string{"wal-meta.db", "data is damaged", restore}},
		{"no member.json", func() error { return remove(filepath.Join(dir, "raft/member.json")) },
			[]string{dir + "/raft/member.json", "it is missing", restore}},
		{"only member.json", func() error { return remove(filepath.Join(dir, "raft/log*"), filepath.Join(dir, "raft/snapshots")) },
			[]string{dir + "/raft/log.mark: data is damaged", restore}},
		{"no log at all", func() error { return remove(filepath.Join(dir, "raft")) },
			[]string{"the log of this server is gone", dir + "/raft", "muster members remove server2", restore}},
		{"no membership", func() error { return remove(filepath.Join(dir, "membership.json")) },
			[]string{dir + " holds a server's raft, but its membership.json is missing", restore}},
		{"half a membership", func() error { return os.Truncate(filepath.Join(dir, "membership.json"), 20) },
			[]string{dir + "/membership.json", "the file is damaged", restore}},
		{"no key", func() error { return remove(filepath.Join(dir, "pki/server.key")) },
			[]string{dir + "/pki/server.key: no such file", restore}},
		{"no CA", func() error { return remove(filepath.Join(dir, "pki/ca.*")) },
			[]string{dir + "/pki/ca.crt: no such file", restore}},
		{"garbage for a key", func() error { return os.WriteFile(filepath.Join(dir, "pki/ca.key"), []byte("x"), 0o600) },
			[]string{dir + "/pki: CA key", restore}},
	} {
		t.Run(d.name, func(t *testing.T) {
			copyDir(t, sound, dir)
			defer os.RemoveAll(dir)
			if err := d.damage(); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, dir)
			start := time.Now()
			out, err := c.Dev(t.Context(), "start", "server2")
			if err == nil {
				_, err := c.Dev(t.Context(), "kill", "server2")
				t.Fatalf("a damaged server runs (killed: %v)", err)
			}
			refusal(t, out, err, append(d.want, "server of server2 ended")...)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			for path, content := range snapshot(t, dir) {
				if was, there := before[path]; !there || !bytes.Equal(was, content) {
					t.Errorf("%s was changed", path)
				}
			}
			if run("get", "configmap", "kept", "-o", "jsonpath={.data.a}") != "b" {
				t.Error("the cluster lost something")
			}
		})
	}
	if err := os.Rename(sound, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Dev(t.Context(), "start", "server2"); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t, func() error {
		_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "--server", "https://"+addressOf(t, c, 12)+":6443", "get", "configmap", "kept")
		return err
	}); err != nil {
		t.Errorf("the sound server does not serve: %v", err)
	}

	t.Run("in use", func(t *testing.T) {
		m := newMachine(t, c, 230)
		m.refuses(t, []string{"server", "--name", "server2", "--advertise-address", m.ip, "--data-dir", dir},
			"data directory is in use by another process: "+dir+"/raft", "is this server running already?")
	})
	t.Run("port in use", func(t *testing.T) {
		out, err := c.Exec(t.Context(), "server1", harness.Muster(), "server", "--name", "second", "--advertise-address", addressOf(t, c, 11), "--data-dir", filepath.Join(t.TempDir(), "s"))
		refusal(t, out, err, ":6443: bind: address already in use", "is a server running here already?")
	})
	t.Run("replaced", func(t *testing.T) { replace(t, c, "server2", dir) })
	run("delete", "configmap", "kept")
}

// replace does to a server that is lost what its message tells to do.
func replace(t *testing.T, c *harness.Cluster, name, dir string) {
	if _, err := c.Dev(t.Context(), "kill", name); err != nil {
		t.Fatal(err)
	}
	members := func(args ...string) (string, error) {
		return harness.Run(t.Context(), "", harness.Muster(), append(append([]string{"members"}, args...), "--kubeconfig", c.Kubeconfig())...)
	}
	if out, err := members("remove", name); err != nil || !strings.Contains(out, "server "+name+" is no member any more") {
		t.Fatalf("remove: %v\n%s", err, out)
	}
	if err := os.Rename(dir, dir+".damaged"); err != nil {
		t.Fatal(err)
	}
	m := &machine{namespace: "muster-" + c.Name + "." + name}
	m.start(t, harness.Muster(), "server", "--name", name, "--advertise-address", addressOf(t, c, 12), "--data-dir", dir, "--join", token(t, c, "--role", "server")).
		says(t, "server is ready")
	if out, err := members(); err != nil || strings.Count(out, ":6443") != 3 {
		t.Errorf("members: %v\n%s", err, out)
	}
	if _, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "--server", "https://"+addressOf(t, c, 12)+":6443", "get", "configmap", "kept"); err != nil {
		t.Error(err)
	}
}

// snapshot reads what makes a server's identity.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"*.json", "pki/*", "raft/*.json"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if out[path], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// copyDir copies with the holes of preallocated files.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if _, err := harness.Run(t.Context(), "", "cp", "-a", "--sparse=always", from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(patterns ...string) error {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			return errorf("%s: %v %w", pattern, err, fs.ErrNotExist)
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// flip turns over some bits of a word in the first segment of a server's log.
func flip(dir, word string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "raft/log/*.wal"))
	if err != nil || len(paths) == 0 {
		return errorf("no segments: %v", err)
	}
	file, err := os.OpenFile(paths[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	start := make([]byte, 4<<20)
	if _, err := io.ReadFull(file, start); err != nil {
		return err
	}
	at := bytes.Index(start, []byte(word))
	if at < 0 {
		return errorf("the log does not hold %q", word)
	}
	_, err = file.WriteAt([]byte{^start[at]}, int64(at))
	return err
}
