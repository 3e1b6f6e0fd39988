//go:build root

package e2e_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

func addressOf(t *testing.T, c *harness.Cluster, host byte) string {
	t.Helper()
	return netip.AddrFrom4([4]byte{10, 89, indexOf(t, c), host}).String()
}

// asNobody is the prefix of a command that is to run without root.
var asNobody = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}

// TestByHand forms a cluster as the README tells: init to look first, then a
// server, which needs no root, and kubectl beside it.
func TestByHand(t *testing.T) {
	m := newMachine(t, nil, 240)
	for _, path := range []string{m.dir} {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(m.dir, "server")
	identity := []string{"--data-dir", dir, "--name", "first", "--advertise-address", m.ip}
	nobody := func(args ...string) []string { return append(append([]string{}, asNobody...), args...) }
	out, err := m.run(t, nobody(append([]string{harness.Muster(), "init"}, identity...)...)...)
	if err != nil || !strings.Contains(out, "export KUBECONFIG="+dir+"/kubeconfig") || !strings.Contains(out, "muster server --data-dir "+dir) {
		t.Fatalf("init: %v\n%s", err, out)
	}
	m.refuses(t, append([]string{"init"}, identity...), "holds a server's identity already: start it with `muster server --data-dir "+dir)

	server := m.start(t, nobody(append([]string{harness.Muster(), "server"}, identity...)...)...)
	server.says(t, "server is ready")
	for _, command := range [][]string{
		{harness.OwnKubectl(), "--kubeconfig", dir + "/kubeconfig", "create", "configmap", "by-hand"},
		{harness.DebianKubectl(), "--kubeconfig", dir + "/kubeconfig", "get", "configmap", "by-hand"},
		{harness.Muster(), "members", "--kubeconfig", dir + "/kubeconfig"},
		{harness.Muster(), "token", "create", "--kubeconfig", dir + "/kubeconfig", "--ttl", "5m"},
	} {
		if out, err := m.run(t, command...); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}

func TestWithoutRoot(t *testing.T) {
	m := newMachine(t, nil, 241)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"agent", "--join", "x"}, []string{"run it as root"}},
		{[]string{"dev", "up", "--name", "nobody"}, []string{"needs root", "sudo"}},
		{[]string{"server", "--advertise-address", m.ip, "--data-dir", "/root/muster-none"}, []string{"/root/muster-none", "permission denied", "--data-dir"}},
	} {
		out, err := m.run(t, append(append(append([]string{}, asNobody...), harness.Muster()), c.args...)...)
		refusal(t, out, err, c.want...)
	}
}

// TestTypos shows that a slip of the finger is answered with the right word.
func TestTypos(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"sever", "did you mean `muster server`?"},
		{"dev upp", "did you mean `muster dev up`?"},
		{"dev kil server1", "did you mean `muster dev kill`?"},
		{"image lod x.tar", "did you mean `muster image load`?"},
		{"token creat", "did you mean `muster token create`?"},
		{"server --jion x", "did you mean `--join`?"},
		{"agent --nodeip 10.0.0.1", "did you mean `--node-ip`?"},
		{"dev up --server 3", "did you mean `--servers`?"},
		{"members please", `muster members takes no arguments, got "please"`},
	} {
		out, err := harness.Run(t.Context(), "", harness.Muster(), strings.Fields(c.typed)...)
		refusal(t, out, err, c.want, "--help")
	}
}
