//go:build root

package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// caller is somebody who calls the shared cluster with credentials of his own.
type caller struct {
	server, ca string
	pair       *pki.KeyPair // nil without a certificate
	flags      []string
}

func newCaller(t *testing.T, pair *pki.KeyPair, flags ...string) caller {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	access := config.Clusters[config.Contexts[config.CurrentContext].Cluster]
	dir := t.TempDir()
	c := caller{server: access.Server, ca: filepath.Join(dir, "ca.crt"), pair: pair, flags: flags}
	write(t, c.ca, string(access.CertificateAuthorityData))
	if pair != nil {
		write(t, filepath.Join(dir, "crt"), string(pair.CertificatePEM()))
		write(t, filepath.Join(dir, "key"), string(pair.KeyPEM()))
		c.flags = append(c.flags, "--client-certificate", filepath.Join(dir, "crt"), "--client-key", filepath.Join(dir, "key"))
	}
	return c
}

func (c caller) kubectl(t *testing.T, binary string, args ...string) (string, error) {
	t.Helper()
	all := append([]string{"--kubeconfig", "/dev/null", "--server", c.server, "--certificate-authority", c.ca}, c.flags...)
	return harness.Run(t.Context(), "", binary, append(all, args...)...)
}

// status is the answer to a request, as kubectl would read it.
func (c caller) status(t *testing.T, method, path, contentType, body, bearer string) metav1.Status {
	t.Helper()
	ca, err := os.ReadFile(c.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: pool}
	if c.pair != nil {
		config.GetClientCertificate = c.pair.ClientTLS("").GetClientCertificate
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, c.server+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out metav1.Status
	if err := json.Unmarshal(raw, &out); err != nil || out.Kind != "Status" || int(out.Code) != response.StatusCode {
		t.Errorf("%s %s: %s is no Status: %s", method, path, response.Status, raw)
	}
	return out
}

func serverPKI() string { return filepath.Join(cluster.Dir, "server1", "pki") }

func issue(t *testing.T, ca *pki.CA, id pki.Identity, life time.Duration) *pki.KeyPair {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(id, nil, life)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestWhoIsUnknownIsUnauthorized(t *testing.T) {
	ours, err := pki.LoadCA(serverPKI())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := pki.NewCA("muster")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, bearer string
		pair         *pki.KeyPair
	}{
		{"foreign certificate", "", issue(t, foreign, pki.AdminIdentity(), time.Hour)},
		{"expired certificate", "", issue(t, ours, pki.AdminIdentity(), -time.Minute)},
		{"wrong token", "wrong", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := newCaller(t, c.pair)
			if got := who.status(t, "GET", "/api/v1/pods", "", "", c.bearer); got.Code != 401 || got.Reason != metav1.StatusReasonUnauthorized || got.Message != "Unauthorized" {
				t.Errorf("answer %+v", got)
			}
			if c.bearer != "" {
				who.flags = append(who.flags, "--token", c.bearer)
			}
			for _, binary := range []string{harness.OwnKubectl(), harness.DebianKubectl()} {
				start := time.Now()
				out, err := who.kubectl(t, binary, "get", "pods")
				refusal(t, out, err, "You must be logged in to the server")
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("%s took %v to say so", filepath.Base(binary), took)
				}
			}
		})
	}
}

// TestWhoIsNobodyIsForbidden asks without credentials for what is not everybody's.
func TestWhoIsNobodyIsForbidden(t *testing.T) {
	got := newCaller(t, nil).status(t, "GET", "/api/v1/pods", "", "", "")
	const want = `pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope`
	if got.Code != 403 || got.Reason != metav1.StatusReasonForbidden || got.Message != want {
		t.Errorf("answer %+v", got)
	}
}

// TestABearerTokenIsItsUser shows who a token lets in, and as whom.
func TestABearerTokenIsItsUser(t *testing.T) {
	token := func(args ...string) string {
		out, err := harness.Output(t.Context(), harness.Muster(), append([]string{"token", "user", "--kubeconfig", cluster.Kubeconfig()}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	for _, binary := range []string{harness.OwnKubectl(), harness.DebianKubectl()} {
		admin := newCaller(t, nil, "--token", token("alice", "--group", "system:masters"))
		if out, err := admin.kubectl(t, binary, "get", "nodes"); err != nil || !strings.Contains(out, "node1") {
			t.Errorf("an administrator's token: %v\n%s", err, out)
		}
		other := newCaller(t, nil, "--token", token("bob"))
		out, err := other.kubectl(t, binary, "get", "pods")
		refusal(t, out, err, `pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"`)
	}
}

// TestANodeWritesOnlyItsOwn tries what a stolen node certificate would.
func TestANodeWritesOnlyItsOwn(t *testing.T) {
	pair, err := join.LoadPair(filepath.Join(cluster.Dir, "node1"), "node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: of-node2}
spec: {nodeName: node2, terminationGracePeriodSeconds: 1, containers: [{name: c, image: jwilder/whoami}]}
---
apiVersion: v1
kind: Secret
metadata: {name: not-for-node1}
stringData: {a: b}
`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, object := range []string{"pod/of-node2", "secret/not-for-node1"} {
			if _, err := cluster.Kubectl(contextOf(t), harness.OwnKubectl(), "", "delete", object, "--timeout=30s"); err != nil {
				t.Error(err)
			}
		}
	})
	who := newCaller(t, pair)
	const user = `User "system:node:node1" cannot `
	for _, c := range []struct{ method, path, body, want string }{
		{"PATCH", "/api/v1/nodes/node2", `{"metadata":{"labels":{"a":"b"}}}`, `nodes "node2" is forbidden: node "node1" is not allowed to modify node "node2"`},
		{"PATCH", "/api/v1/nodes/node2/status", `{"status":{"phase":"x"}}`, `nodes "node2" is forbidden: node "node1" is not allowed to modify node "node2"`},
		{"DELETE", "/api/v1/nodes/node2", "", `nodes "node2" is forbidden: ` + user + `delete resource "nodes"`},
		{"POST", "/api/v1/nodes", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"node9"}}`, `nodes "node9" is forbidden: node "node1" is not allowed to modify node "node9"`},
		{"PATCH", "/api/v1/namespaces/default/pods/of-node2/status", `{"status":{"phase":"Failed"}}`, `node "node1" can only update pod status for pods with spec.nodeName set to itself`},
		{"PATCH", "/api/v1/namespaces/default/pods/of-node2", `{"metadata":{"labels":{"a":"b"}}}`, `pods "of-node2" is forbidden: ` + user + `patch resource "pods"`},
		{"DELETE", "/api/v1/namespaces/default/pods/of-node2", "", `node "node1" can only delete pods with spec.nodeName set to itself`},
		{"POST", "/api/v1/namespaces/default/pods", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"x"}]}}`, `pods "x" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "node1" can only create mirror pods`},
		{"GET", "/api/v1/namespaces/default/secrets/not-for-node1", "", `secrets "not-for-node1" is forbidden: ` + user + `get resource "secrets" in API group "" in the namespace "default"`},
		{"GET", "/api/v1/secrets", "", `secrets is forbidden: ` + user + `list resource "secrets" in API group "" at the cluster scope`},
		{"PATCH", "/api/v1/namespaces/default/secrets/not-for-node1", `{"stringData":{"a":"c"}}`, `secrets "not-for-node1" is forbidden: ` + user + `patch resource "secrets"`},
		{"PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node2", `{"spec":{"holderIdentity":"x"}}`, `leases.coordination.k8s.io "node2" is forbidden: ` + user + `patch resource "leases" in API group "coordination.k8s.io" in the namespace "kube-node-lease"`},
	} {
		contentType := "application/json"
		if c.method == "PATCH" {
			contentType = "application/merge-patch+json"
		}
		got := who.status(t, c.method, c.path, contentType, c.body, "")
		if got.Code != 403 || got.Reason != metav1.StatusReasonForbidden || !strings.Contains(got.Message, c.want) {
			t.Errorf("%s %s: %d %s %s, not %q", c.method, c.path, got.Code, got.Reason, got.Message, c.want)
		}
	}
	out, err := who.kubectl(t, harness.OwnKubectl(), "label", "node", "node2", "a=b")
	refusal(t, out, err, `Error from server (Forbidden): nodes "node2" is forbidden`)
	if out := kubectl(t, "get", "node/node2", "pod/of-node2", "--show-labels"); strings.Contains(out, "a=b") || strings.Contains(out, "Failed") {
		t.Errorf("something of it was done:\n%s", out)
	}
}

// TestForeignAgents starts agents with identities that are not theirs.
func TestForeignAgents(t *testing.T) {
	m := newMachine(t, cluster, 211)
	stolen := filepath.Join(m.dir, "stolen")
	membership, err := join.LoadMembership(filepath.Join(cluster.Dir, "node1"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := join.LoadPair(filepath.Join(cluster.Dir, "node1"), "node")
	if err != nil {
		t.Fatal(err)
	}
	membership.Name = "node9"
	save(t, stolen, membership, pair)
	agent := func(name, dir string) []string {
		return []string{"agent", "--name", name, "--node-ip", m.ip, "--data-dir", dir, "--containerd", filepath.Join(m.dir, "none.sock")}
	}
	m.refuses(t, agent("node9", stolen), `is "system:node:node1"'s, not "system:node:node9"'s`, "join again with a new token")
	m.refuses(t, agent("node8", stolen), `belongs to node "node9", not "node8"`)

	foreign, err := pki.NewCA("muster")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(m.dir, "foreign")
	save(t, other, membership, issue(t, foreign, pki.NodeIdentity("node9"), time.Hour))
	m.start(t, append([]string{harness.Muster()}, agent("node9", other)...)...).says(t, "certificate signed by unknown authority")
	m.refuses(t, agent("node9", filepath.Join(m.dir, "empty")), "holds no node's identity yet: give a token with --join")
	if out := kubectl(t, "get", "nodes", "-o", "name"); strings.Contains(out, "node9") {
		t.Errorf("a foreign agent is a node:\n%s", out)
	}
}

func save(t *testing.T, dir string, membership join.Membership, pair *pki.KeyPair) {
	t.Helper()
	if err := pair.Save(join.PKIDir(dir), "node"); err != nil {
		t.Fatal(err)
	}
	if err := membership.Save(dir); err != nil {
		t.Fatal(err)
	}
}

// TestGossipNeedsTheKey joins the servers' pool from this machine: with the
// cluster's key that works, with another it does not.
func TestGossipNeedsTheKey(t *testing.T) {
	membership, err := join.LoadMembership(filepath.Join(cluster.Dir, "node1"))
	if err != nil {
		t.Fatal(err)
	}
	gateway := netip.AddrFrom4([4]byte{10, 89, indexOf(t, cluster), 1})
	sees := func(name, port string, key []byte, within time.Duration) error {
		pool, err := gossip.New(gossip.Config{
			Role: gossip.Node, Name: name, Listen: gateway.String() + ":" + port, Advertise: gateway, Key: key,
			Seeds:  func(context.Context) []string { return membership.GossipAddresses },
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		return harness.Eventually(t.Context(), within, func() error {
			members, _ := pool.Members()
			for _, m := range members {
				if m.Role == gossip.Server {
					return nil
				}
			}
			return errorf("it sees no server: %v", members)
		})
	}
	if err := sees("friend", "7951", membership.GossipKey, 20*time.Second); err != nil {
		t.Error(err)
	}
	if err := sees("stranger", "7952", bytes.Repeat([]byte{7}, 32), 5*time.Second); err == nil {
		t.Error("a member with another key is in the pool")
	}
}
