//go:build root

package e2e_test

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

// TestCertificatesAreRenewed gives running members certificates that are nearly
// over, and the server's scheduler one that expired while it was off.
func TestCertificatesAreRenewed(t *testing.T) {
	c := ownCluster(t, "new", 1, 1)
	for _, target := range []string{"server1", "node1/agent"} {
		if _, err := c.Dev(t.Context(), "kill", target); err != nil {
			t.Fatal(err)
		}
	}
	server, node := filepath.Join(c.Dir, "server1"), filepath.Join(c.Dir, "node1")
	ca, err := pki.LoadCA(join.PKIDir(server))
	if err != nil {
		t.Fatal(err)
	}
	pairs := []struct {
		dir, name string
		life      time.Duration
	}{
		{server, "server", time.Minute}, {server, "controller-manager", time.Minute}, {server, "scheduler", -time.Second}, {node, "node", time.Minute},
	}
	old := map[string]string{}
	for _, p := range pairs {
		pair, err := join.LoadPair(p.dir, p.name)
		if err != nil {
			t.Fatal(err)
		}
		certPEM, keyPEM, err := ca.Issue(pair.Identity(), addresses(pair), p.life)
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Replace(certPEM, keyPEM); err != nil {
			t.Fatal(err)
		}
		old[p.name] = pair.Leaf().SerialNumber.String()
	}
	for _, target := range []string{"server1", "node1/agent"} {
		if _, err := c.Dev(t.Context(), "start", target); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pairs {
		if err := eventually(t, func() error {
			pair, err := join.LoadPair(p.dir, p.name)
			if err != nil {
				return err
			}
			if left := time.Until(pair.Leaf().NotAfter); left < 300*24*time.Hour || pair.Leaf().SerialNumber.String() == old[p.name] {
				return errorf("%s has %v left", p.name, left)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	// The running server shows the new certificate, and all work with theirs.
	conn, err := tls.Dial("tcp", addressOf(t, c, 11)+":6443", &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if left := time.Until(conn.ConnectionState().PeerCertificates[0].NotAfter); left < 300*24*time.Hour {
		t.Errorf("the running server's certificate has %v left", left)
	}
	if err := eventually(t, func() error {
		_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "wait", "--for=condition=Ready", "node/node1", "--timeout=5s")
		return err
	}); err != nil {
		t.Error(err)
	}
}

func addresses(pair *pki.KeyPair) []string {
	out := append([]string(nil), pair.Leaf().DNSNames...)
	for _, ip := range pair.Leaf().IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
