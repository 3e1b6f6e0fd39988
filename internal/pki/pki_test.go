package pki_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/pki"
)

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *pki.CA, id pki.Identity, ttl time.Duration, addresses ...string) *pki.KeyPair {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(id, addresses, ttl)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// handshake connects the two over loopback and returns what each end says.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		_, err = tls.Server(conn, server).Write([]byte("x"))
		served <- err
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := time.Now().Add(5 * time.Second)
	_ = conn.SetDeadline(deadline)
	_, clientErr = tls.Client(conn, client).Read(make([]byte, 1))
	return <-served, clientErr
}

func TestPeerTLS(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	server := issue(t, ca, pki.ServerIdentity("s1"), time.Hour)
	tests := []struct {
		name   string
		client *pki.KeyPair
		check  func(pki.Identity) error // what the server asks of the client
		want   string
	}{
		{"a server", issue(t, ca, pki.ServerIdentity("s2"), time.Hour), pki.IsServer, ""},
		{"a node where a server is wanted", issue(t, ca, pki.NodeIdentity("n1"), time.Hour), pki.IsServer, "is no server of this cluster"},
		{"the node", issue(t, ca, pki.NodeIdentity("n1"), time.Hour), pki.IsNode("n1"), ""},
		{"another node", issue(t, ca, pki.NodeIdentity("n2"), time.Hour), pki.IsNode("n1"), `is not the agent of node "n1"`},
		{"a name without the group", issue(t, ca, pki.Identity{User: "system:node:n1"}, time.Hour), pki.IsNode("n1"), "is not the agent"},
		{"a foreign CA", issue(t, foreign, pki.ServerIdentity("s2"), time.Hour), pki.IsServer, "unknown authority"},
		{"an expired certificate", issue(t, ca, pki.ServerIdentity("s2"), -time.Minute), pki.IsServer, "expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			anyone := func(pki.Identity) error { return nil }
			serverErr, _ := handshake(t, server.PeerTLS(test.check), clientIgnoringCA(test.client.PeerTLS(anyone)))
			switch {
			case test.want == "" && serverErr != nil:
				t.Fatalf("server refuses: %v", serverErr)
			case test.want != "" && (serverErr == nil || !strings.Contains(serverErr.Error(), test.want)):
				t.Fatalf("server says %v, want %q", serverErr, test.want)
			}
		})
	}
}

// clientIgnoringCA keeps the client from being the one who hangs up.
func clientIgnoringCA(c *tls.Config) *tls.Config {
	c.VerifyConnection = nil
	return c
}

func TestPeerTLSChecksTheServer(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	client := issue(t, ca, pki.ServerIdentity("s1"), time.Hour)
	for name, server := range map[string]*pki.KeyPair{
		"is no server":      issue(t, ca, pki.NodeIdentity("n1"), time.Hour),
		"unknown authority": issue(t, foreign, pki.ServerIdentity("s2"), time.Hour),
	} {
		_, err := handshake(t, server.ServerTLS(tls.NoClientCert, "h2"), client.PeerTLS(pki.IsServer, "h2"))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("client says %v, want %q", err, name)
		}
	}
}

func TestServerTLSVerifiesAddresses(t *testing.T) {
	ca := newCA(t)
	server := issue(t, ca, pki.ServerIdentity("s1"), time.Hour, "10.0.0.1", "kubernetes.default.svc")
	client := issue(t, ca, pki.AdminIdentity(), time.Hour)
	config := server.ServerTLS(tls.RequireAndVerifyClientCert, "h2", "http/1.1")
	for _, name := range []string{"10.0.0.1", "kubernetes.default.svc"} {
		if _, err := handshake(t, config, client.ClientTLS(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, config, client.ClientTLS("10.0.0.2")); err == nil {
		t.Error("a certificate for another address is accepted")
	}
	if serverErr, _ := handshake(t, config, &tls.Config{InsecureSkipVerify: true}); serverErr == nil {
		t.Error("a client without a certificate is let in")
	}
}

func TestPinnedTLS(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	server := issue(t, ca, pki.ServerIdentity("s1"), time.Hour)
	if _, err := handshake(t, server.ServerTLS(tls.VerifyClientCertIfGiven, "h2"), pki.PinnedTLS(ca.Pin(), "h2")); err != nil {
		t.Errorf("the right pin: %v", err)
	}
	_, err := handshake(t, server.ServerTLS(tls.VerifyClientCertIfGiven, "h2"), pki.PinnedTLS(foreign.Pin(), "h2"))
	if err == nil || !strings.Contains(err.Error(), "not of the cluster that the token was made for") {
		t.Errorf("a foreign pin: %v", err)
	}
	// The CA's own certificate is public: sending it along must not be enough.
	impostor := issue(t, foreign, pki.ServerIdentity("s1"), time.Hour)
	config := impostor.ServerTLS(tls.NoClientCert, "h2")
	stolen := *must(impostor, server)
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &stolen, nil }
	if _, err := handshake(t, config, pki.PinnedTLS(ca.Pin(), "h2")); err == nil {
		t.Error("an impostor with the real CA's certificate is believed")
	}
	node := issue(t, ca, pki.NodeIdentity("n1"), time.Hour)
	if _, err := handshake(t, node.ServerTLS(tls.NoClientCert, "h2"), pki.PinnedTLS(ca.Pin(), "h2")); err == nil {
		t.Error("a node is believed to be a server")
	}
}

// must is the impostor's certificate with the real server's CA in its chain.
func must(impostor, real *pki.KeyPair) *tls.Certificate {
	own, _ := impostor.ServerTLS(tls.NoClientCert).GetCertificate(nil)
	other, _ := real.ServerTLS(tls.NoClientCert).GetCertificate(nil)
	out := *own
	out.Certificate = [][]byte{own.Certificate[0], other.Certificate[1]}
	return &out
}

func TestKeyPairReplace(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	dir := t.TempDir()
	pair := issue(t, ca, pki.NodeIdentity("n1"), time.Hour)
	if err := pair.Save(dir, "node"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "node.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v %v", info, err)
	}
	server := pair.ServerTLS(tls.NoClientCert, "h2")

	keyPEM, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := ca.SignRequest(csr, pki.NodeIdentity("n1"), nil, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Replace(renewed, keyPEM); err != nil {
		t.Fatal(err)
	}
	got, _ := server.GetCertificate(nil)
	if got.Leaf.SerialNumber.Cmp(pair.Leaf().SerialNumber) != 0 {
		t.Error("a configuration made before keeps the old certificate")
	}
	loaded, err := pki.LoadKeyPair(filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key"), filepath.Join(dir, "ca.crt"))
	if err != nil || loaded.Leaf().SerialNumber.Cmp(pair.Leaf().SerialNumber) != 0 {
		t.Errorf("the files do not hold the renewed certificate: %v", err)
	}

	bad, badKey, err := foreign.Issue(pki.NodeIdentity("n1"), nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Replace(bad, badKey); err == nil {
		t.Error("a certificate of a foreign CA is taken")
	}
	if err := pair.Reload(); err != nil {
		t.Errorf("reload: %v", err)
	}
}

func TestKeyPairReissue(t *testing.T) {
	ca := newCA(t)
	certPEM, keyPEM, err := ca.Issue(pki.ServerIdentity("s1"), []string{"10.0.0.1", "s1"}, -time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Verify(pair.Leaf()); err == nil {
		t.Fatal("an expired certificate is valid")
	}
	if _, err := pair.Reissue(newCA(t)); err == nil {
		t.Error("a foreign authority reissues")
	}
	expires, err := pair.Reissue(ca)
	if err != nil || !expires.After(time.Now()) {
		t.Fatalf("expires %v, %v", expires, err)
	}
	if err := pair.Verify(pair.Leaf()); err != nil {
		t.Error(err)
	}
	leaf := pair.Leaf()
	if pair.Identity().User != pki.ServerIdentity("s1").User || leaf.VerifyHostname("10.0.0.1") != nil || leaf.VerifyHostname("s1") != nil {
		t.Errorf("identity or addresses changed: %v %v %v", pair.Identity(), leaf.IPAddresses, leaf.DNSNames)
	}
}

func TestSignRequestIgnoresTheSubject(t *testing.T) {
	ca := newCA(t)
	_, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.SignRequest(csr[:len(csr)-1], pki.NodeIdentity("n"), nil, time.Hour); err == nil {
		t.Error("a damaged request is signed")
	}
	csr[len(csr)-1] ^= 1
	if _, err := ca.SignRequest(csr, pki.NodeIdentity("n"), nil, time.Hour); err == nil {
		t.Error("a request with a wrong signature is signed")
	}
}

func TestLoadCA(t *testing.T) {
	dir := t.TempDir()
	if _, err := pki.LoadCA(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	ca := newCA(t)
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := pki.LoadCA(dir)
	if err != nil || loaded.Pin() != ca.Pin() {
		t.Fatalf("loaded %v, %v", loaded, err)
	}
	if err := pki.CheckPin(ca.CertificatePEM(), ca.Pin()); err != nil {
		t.Error(err)
	}
	other := newCA(t)
	if err := pki.CheckPin(other.CertificatePEM(), ca.Pin()); err == nil {
		t.Error("another CA has the same pin")
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.key"), other.KeyPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadCA(dir); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("another CA's key: %v", err)
	}
}

func TestRenewAt(t *testing.T) {
	pair := issue(t, newCA(t), pki.NodeIdentity("n"), 3*time.Hour)
	left := time.Until(pair.RenewAt())
	if left < 110*time.Minute || left > 2*time.Hour {
		t.Errorf("renewal in %v of a certificate for three hours", left)
	}
}
