//go:build root

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// loadName names the configmaps that are written during a backup, in their order.
func loadName(i int64) string { return fmt.Sprintf("load-%06d", i) }

// underLoad writes configmaps one after the other until the test stops it, and
// counts those that were acknowledged.
func underLoad(t *testing.T, c *harness.Cluster) (acknowledged *atomic.Int64, stop func()) {
	acknowledged = &atomic.Int64{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := int64(0); ctx.Err() == nil; i++ {
			if _, err := c.Kubectl(ctx, harness.OwnKubectl(), "", "create", "configmap", loadName(i), "--from-literal", fmt.Sprintf("n=%d", i)); err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			acknowledged.Store(i + 1)
		}
	}()
	return acknowledged, func() { cancel(); <-done }
}

// TestBackup saves the state of a cluster under load, from a server that follows,
// and makes a new cluster of it at the address of a server of the old one, which
// goes on beside it with its other two.
func TestBackup(t *testing.T) {
	c := ownCluster(t, "bak", 3, 0)
	muster := func(args ...string) string {
		t.Helper()
		out, err := harness.Run(t.Context(), "", harness.Muster(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const objects = `jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.resourceVersion} {.data}{"\n"}{end}`
	get := func(kubeconfig string) map[string]string {
		t.Helper()
		out, err := harness.Run(t.Context(), "", harness.OwnKubectl(), "--kubeconfig", kubeconfig, "get", "configmaps", "-o", objects)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for line := range strings.Lines(out) {
			name, rest, _ := strings.Cut(line, " ")
			if name != "kube-root-ca.crt" { // which names the cluster's own CA
				found[name] = rest
			}
		}
		return found
	}

	// Save.
	acknowledged, stop := underLoad(t, c)
	if err := eventually(t, func() error {
		if n := acknowledged.Load(); n < 10 {
			return errorf("%d are written", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "a.snap")
	name, address := followerOf(t, muster("members", "--kubeconfig", c.Kubeconfig()))
	before := acknowledged.Load()
	saved := muster("snapshot", "save", file, "--kubeconfig", c.Kubeconfig(), "--server", address)
	after := acknowledged.Load() + 1 // one may have been on its way
	if err := eventually(t, func() error {
		if n := acknowledged.Load(); n < after+3 {
			return errorf("%d are written", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	old := get(c.Kubeconfig())

	// Inspect.
	told := muster("snapshot", "inspect", file)
	for _, words := range []string{"Server:", name, "configmaps", "_servers", "sha256 " + after256(told)} {
		if !strings.Contains(told+saved, words) {
			t.Errorf("%q is not in\n%s\n%s", words, saved, told)
		}
	}
	hurt := filepath.Join(dir, "hurt.snap")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	write(t, hurt, string(raw))
	out, err := harness.Run(t.Context(), "", harness.Muster(), "snapshot", "inspect", hurt)
	refusal(t, out, err, hurt, "snapshot is damaged: block at offset")

	// Restore, where server1 was.
	if _, err := c.Dev(t.Context(), "kill", "server1"); err != nil {
		t.Fatal(err)
	}
	m := &machine{namespace: "muster-" + c.Name + ".server1"}
	into := filepath.Join(dir, "server")
	identity := []string{"--name", "server1", "--advertise-address", addressOf(t, c, 11), "--data-dir"}
	m.refuses(t, append([]string{"snapshot", "restore", file}, append(identity, filepath.Join(c.Dir, "server1"))...), "it is not empty", "--data-dir")
	m.refuses(t, append([]string{"snapshot", "restore", hurt}, append(identity, into)...), "block at offset")
	if left, err := filepath.Glob(into + "*"); err != nil || len(left) > 0 {
		t.Errorf("what was refused left %v", left)
	}
	out, err = m.run(t, append([]string{harness.Muster(), "snapshot", "restore", file}, append(identity, into)...)...)
	if err != nil || !strings.Contains(out, "new revisions begin at") {
		t.Fatalf("%v\n%s", err, out)
	}
	server := m.start(t, append([]string{harness.Muster(), "server"}, append(identity, into)...)...)
	server.says(t, "server is ready")
	kubeconfig := filepath.Join(into, "kubeconfig")

	t.Run("objects", func(t *testing.T) {
		restored := get(kubeconfig)
		for name, content := range restored {
			if old[name] != content {
				t.Errorf("%s is %q, was %q", name, content, old[name])
			}
		}
		count := int64(0)
		for restored[loadName(count)] != "" {
			count++
		}
		if count < before || count > after {
			t.Errorf("the first %d of the load are there; %d were acknowledged before the backup, %d after it", count, before, after)
		}
		if whole := int64(strings.Count(fmt.Sprint(restored), "load-")); whole != count {
			t.Errorf("%d of the load are there, but only the first %d without a gap", whole, count)
		}
	})
	t.Run("old members", func(t *testing.T) {
		server.says(t, "peer refused")
		if out := muster("members", "--kubeconfig", kubeconfig); strings.Count(out, ":6443") != 1 || !strings.Contains(out, "leader") {
			t.Errorf("the restored cluster's members:\n%s", out)
		}
		out, err := harness.Run(t.Context(), "", harness.OwnKubectl(), "--kubeconfig", c.Kubeconfig(), "--server", "https://"+addressOf(t, c, 11)+":6443", "get", "configmaps")
		refusal(t, out, err, "x509")
		old := &machine{namespace: "muster-" + c.Name + ".server2"}
		if _, err := c.Dev(t.Context(), "kill", "server2"); err != nil {
			t.Fatal(err)
		}
		again := old.start(t, harness.Muster(), "server", "--name", "server2", "--advertise-address", addressOf(t, c, 12), "--data-dir", filepath.Join(c.Dir, "server2"))
		again.says(t, "server is ready") // with server3, in the old cluster
		if out := muster("members", "--kubeconfig", kubeconfig); strings.Count(out, ":6443") != 1 {
			t.Errorf("the restored cluster's members:\n%s", out)
		}
	})
	t.Run("old watch", func(t *testing.T) {
		for _, from := range []string{strings.Fields(old[loadName(0)])[1], lastVersion(t, old)} {
			out, err := harness.Run(t.Context(), "", harness.OwnKubectl(), "--kubeconfig", kubeconfig,
				"get", "--raw", "/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion="+from)
			if !strings.Contains(out, `"code":410`) && !strings.Contains(out, "(Expired)") {
				t.Errorf("a watch from %s is told %v\n%s", from, err, out)
			}
		}
	})
	t.Run("new objects", func(t *testing.T) {
		for _, args := range [][]string{{"create", "configmap", "new"}, {"delete", "configmap", loadName(0)}} {
			if _, err := harness.Run(t.Context(), "", harness.OwnKubectl(), append(args, "--kubeconfig", kubeconfig)...); err != nil {
				t.Error(err)
			}
		}
		server.end(t)
		m.start(t, append([]string{harness.Muster(), "server"}, append(identity, into)...)...).says(t, "server is ready")
		now := get(kubeconfig)
		if now["new"] == "" || now[loadName(0)] != "" || now[loadName(1)] != old[loadName(1)] {
			t.Errorf("after a restart there is %v", now)
		}
	})
}

// after256 returns the checksum that inspect printed.
func after256(told string) string {
	for line := range strings.Lines(told) {
		if rest, ok := strings.CutPrefix(line, "SHA-256:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "nothing"
}

// lastVersion returns the highest resourceVersion of some objects.
func lastVersion(t *testing.T, objects map[string]string) string {
	t.Helper()
	highest := uint64(0)
	for _, content := range objects {
		version, err := strconv.ParseUint(strings.Fields(content)[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		highest = max(highest, version)
	}
	return strconv.FormatUint(highest, 10)
}

// followerOf reads the name and the gRPC address of a server that does not lead
// from what muster members prints.
func followerOf(t *testing.T, members string) (name, address string) {
	t.Helper()
	for line := range strings.Lines(members) {
		fields := strings.Fields(line)
		if i := slices.IndexFunc(fields, func(f string) bool { return strings.HasSuffix(f, ":6442") }); i > 0 && fields[1] == "voter" {
			return fields[0], fields[i]
		}
	}
	t.Fatalf("nobody follows:\n%s", members)
	return "", ""
}
