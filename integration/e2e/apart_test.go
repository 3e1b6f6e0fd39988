//go:build root

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

// apart is a cluster of one `muster apiserver`, on a machine of its own.
type apart struct {
	*machine
	kubeconfig string
}

func (a *apart) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return a.run(t, append([]string{harness.OwnKubectl(), "--kubeconfig", a.kubeconfig}, args...)...)
}

// becomes waits until kubectl's answer holds the words.
func (a *apart) becomes(t *testing.T, words string, args ...string) {
	t.Helper()
	if err := eventually(t, func() error {
		out, err := a.kubectl(t, args...)
		if err == nil && !strings.Contains(out, words) {
			err = errorf("kubectl %v says\n%s\nnot %q", args, out, words)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestRolesApart runs the parts of a server as processes of their own: an apiserver
// by itself does nothing, and what a scheduler and a controller manager are for
// happens once they have joined, each by a token of its role.
func TestRolesApart(t *testing.T) {
	m := newMachine(t, nil, 242)
	a := &apart{machine: m, kubeconfig: filepath.Join(m.dir, "server", "kubeconfig")}
	tokens := filepath.Join(m.dir, "tokens")
	muster := func(name string, args ...string) []string {
		return append([]string{harness.Muster(), name, "--name", "one", "--data-dir", filepath.Join(m.dir, name), "--advertise-address", m.ip}, args...)
	}
	m.start(t, harness.Muster(), "apiserver", "--name", "one", "--data-dir", filepath.Join(m.dir, "server"), "--advertise-address", m.ip).says(t, "server is ready")
	for _, command := range [][]string{
		{harness.Muster(), "health", "--data-dir", filepath.Join(m.dir, "server")},
		{harness.Muster(), "token", "create", "--kubeconfig", a.kubeconfig, "--role", "scheduler,controller-manager", "--out-dir", tokens},
		{harness.OwnKubectl(), "--kubeconfig", a.kubeconfig, "create", "deployment", "web", "--image", "none"},
	} {
		if out, err := m.run(t, command...); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	if info, err := os.Stat(filepath.Join(tokens, "scheduler", "token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	m.refuses(t, muster("controller-manager", "--join-file", filepath.Join(tokens, "scheduler", "token"))[1:], "does not let in a controller-manager", "muster token create --role controller-manager")
	if out, err := a.kubectl(t, "get", "replicasets"); err != nil || !strings.Contains(out, "No resources found") {
		t.Errorf("without a controller manager: %v\n%s", err, out)
	}

	m.start(t, muster("controller-manager", "--join-file", filepath.Join(tokens, "controller-manager", "token"))...)
	a.becomes(t, "web-", "get", "pods")
	a.becomes(t, "one@"+m.ip+":6446", "get", "lease", "-n", "kube-system", "kube-controller-manager", "-o", "wide")

	// The scheduler joins, and starts again when its certificate is nearly over.
	_, _ = m.run(t, append([]string{"timeout", "1"}, muster("scheduler", "--join-file", filepath.Join(tokens, "scheduler", "token"))...)...)
	renewed := nearlyOver(t, filepath.Join(m.dir, "server"), filepath.Join(m.dir, "scheduler"), "scheduler")
	m.start(t, muster("scheduler")...)
	if err := eventually(t, renewed); err != nil {
		t.Error(err)
	}
	a.becomes(t, "no nodes available", "get", "events")
	if err := eventually(t, func() error {
		pod, err := a.kubectl(t, "get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
		if err != nil {
			return err
		}
		out, err := m.run(t, harness.Muster(), "explain", "pod", pod, "--kubeconfig", a.kubeconfig)
		if err == nil && !strings.Contains(out, "no nodes available") {
			err = errorf("the scheduler explains\n%s", out)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"scheduler", "controller-manager"} {
		if out, err := m.run(t, harness.Muster(), "health", "--data-dir", filepath.Join(m.dir, name)); err != nil || out != "serving\n" {
			t.Errorf("health of the %s: %v\n%s", name, err, out)
		}
		// What they were told is theirs alone: no key of the cluster.
		for _, secret := range []string{"pki/ca.key", "pki/service-account.key"} {
			if _, err := os.Stat(filepath.Join(m.dir, name, secret)); err == nil {
				t.Errorf("the %s holds %s", name, secret)
			}
		}
	}
	m.refuses(t, muster("scheduler")[1:], "address already in use", "ss -ltnp sport = :6445")
}

// nearlyOver gives a member a certificate that ends soon, and returns what says whether
// it has a new one.
func nearlyOver(t *testing.T, server, dir, name string) (renewed func() error) {
	t.Helper()
	ca, err := pki.LoadCA(join.PKIDir(server))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := join.LoadPair(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(pair.Identity(), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Replace(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return func() error {
		pair, err := join.LoadPair(dir, name)
		if err == nil && time.Until(pair.Leaf().NotAfter) < 24*time.Hour {
			err = errorf("the certificate of %s ends at %v", pair.Identity().User, pair.Leaf().NotAfter)
		}
		return err
	}
}
