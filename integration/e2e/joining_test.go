//go:build root

package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// forged changes one field of a token.
func forged(t *testing.T, token, field string, value any) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "muster1."))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = value
	if raw, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	return "muster1." + base64.RawURLEncoding.EncodeToString(raw)
}

func TestWrongTokensAreRefused(t *testing.T) {
	m := newMachine(t, cluster, 210)
	good := token(t, cluster)
	server := func(token string) []string {
		return []string{"server", "--name", "stranger", "--advertise-address", m.ip, "--data-dir", filepath.Join(m.dir, "s"), "--join", token}
	}
	agent := func(name, token string) []string {
		return []string{"agent", "--name", name, "--node-ip", m.ip, "--data-dir", filepath.Join(m.dir, "a"), "--join", token}
	}
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"garbled", server("muster"), []string{"not a join token", "muster token create"}},
		{"cut off", server(good[:len(good)-9]), []string{"not a join token: copy the whole line"}},
		{"empty", server(""), []string{"the token is empty"}},
		{"unknown", server(forged(t, good, "i", "nobody")), []string{"the join token is wrong", "muster token create"}},
		{"wrong secret", agent("stranger", forged(t, good, "s", "guessed")), []string{"the join token is wrong", "muster token create"}},
		{"wrong pin", server(forged(t, good, "p", "sha256:"+strings.Repeat("0", 64))), []string{"not of the cluster that the token was made for"}},
		{"a node's for a server", server(token(t, cluster, "--role", "node")), []string{"does not let in a server"}},
		{"a server's for a node", agent("stranger", token(t, cluster, "--role", "server")), []string{"does not let in a node"}},
		{"a server's name is taken", []string{"server", "--name", "server1", "--advertise-address", m.ip, "--data-dir", filepath.Join(m.dir, "s"), "--join", good}, []string{`server "server1" is a member already`, "--name"}},
		{"a node's name is taken", agent("node1", good), []string{`node "node1" is in the cluster and alive`, "--name"}},
		{"a bad name", agent("Bad_Name", good), []string{`name "Bad_Name": a lowercase RFC 1123 subdomain`}},
	}
	// Whoever makes a token clears those away that are over, so this one comes last.
	short := token(t, cluster, "--ttl", "1s")
	expired := time.Now().Add(2 * time.Second)
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { m.refuses(t, c.args, c.want...) })
	}
	t.Run("expired", func(t *testing.T) {
		if err := eventually(t, func() error {
			if time.Now().Before(expired) {
				return errorf("not yet")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		m.refuses(t, server(short), "the join token expired at", "muster token create")
	})
	if left, _ := filepath.Glob(filepath.Join(m.dir, "*")); len(left) > 0 {
		t.Errorf("refused joins left %v", left)
	}
	if out := kubectl(t, "get", "nodes", "-o", "name"); strings.Contains(out, "stranger") {
		t.Errorf("a stranger is a node:\n%s", out)
	}
}

// TestMachinesJoin lets in, by one token, a further server, which then serves
// alone what it was told, and a further node, which runs a pod.
func TestMachinesJoin(t *testing.T) {
	c := ownCluster(t, "join", 1, 1)
	if err := c.LoadImages(t.Context()); err != nil {
		t.Fatal(err)
	}
	serverMachine, nodeMachine := newMachine(t, c, 220), newMachine(t, c, 221)
	word := token(t, c, "--ttl", "1h")
	args := []string{"server", "--name", "further", "--advertise-address", serverMachine.ip, "--data-dir", filepath.Join(serverMachine.dir, "s")}
	further := serverMachine.start(t, append([]string{harness.Muster()}, append(args, "--join", word)...)...)
	further.says(t, "server is ready")
	out, err := harness.Run(t.Context(), "", harness.Muster(), "members", "--kubeconfig", c.Kubeconfig())
	if err != nil || !strings.Contains(out, serverMachine.ip+":6443") || strings.Contains(out, "non-voter") {
		t.Errorf("members: %v\n%s", err, out)
	}
	if out, err := harness.Run(t.Context(), "", harness.OwnKubectl(), "--kubeconfig", c.Kubeconfig(), "--server", "https://"+serverMachine.ip+":6443", "get", "nodes"); err != nil || !strings.Contains(out, "node1") {
		t.Errorf("the further server does not serve: %v\n%s", err, out)
	}

	socket := containerd(t, nodeMachine)
	agent := nodeMachine.start(t, harness.Muster(), "agent", "--name", "further", "--node-ip", nodeMachine.ip,
		"--data-dir", filepath.Join(nodeMachine.dir, "a"), "--containerd", socket, "--join", word,
		"--cgroup-parent", "/muster-dev/"+c.Name+"/further")
	if err := eventually(t, func() error {
		_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "wait", "--for=condition=Ready", "node/further", "--timeout=10s")
		return err
	}); err != nil {
		t.Fatalf("%v\n%s", err, agent.log())
	}
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"there"},"spec":{"nodeName":"further","terminationGracePeriodSeconds":1,"containers":[{"name":"c","image":"jwilder/whoami"}]}}`
	if _, err := c.Kubectl(t.Context(), harness.OwnKubectl(), pod, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "wait", "--for=condition=Ready", "pod/there", "--timeout=30s"); err != nil {
		described, _ := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "describe", "pod", "there")
		t.Fatalf("%v\n%s\n%s", err, described, agent.log())
	}
	if _, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "delete", "pod", "there", "--timeout=30s"); err != nil {
		t.Error(err)
	}

	// A token of another cluster was not meant for this directory.
	serverMachine.refuses(t, append(args, "--join", token(t, cluster)), "another cluster than the token's", "choose another --data-dir")
}

// containerd runs one for a machine and returns its socket.
func containerd(t *testing.T, m *machine) string {
	t.Helper()
	socket := filepath.Join(m.dir, "c.sock")
	config := filepath.Join(m.dir, "config.toml")
	write(t, config, `version = 2
root = "`+filepath.Join(m.dir, "root")+`"
state = "`+filepath.Join(m.dir, "state")+`"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "`+socket+`"
[plugins."io.containerd.internal.v1.opt"]
  path = "`+filepath.Join(m.dir, "opt")+`"
`)
	m.start(t, "containerd", "--config", config).says(t, "containerd successfully booted")
	return socket
}

func TestAgentSaysThatContainerdIsMissing(t *testing.T) {
	c := ownCluster(t, "noc", 1, 0)
	m := newMachine(t, c, 222)
	m.start(t, harness.Muster(), "agent", "--name", "bare", "--node-ip", m.ip, "--data-dir", filepath.Join(m.dir, "a"),
		"--containerd", filepath.Join(m.dir, "none.sock"), "--join", token(t, c)).
		says(t, "containerd does not answer at "+filepath.Join(m.dir, "none.sock")+": is it running?")
}
