package provision_test

import (
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

func TestIdentities(t *testing.T) {
	cluster, err := provision.NewCluster("c")
	if err != nil {
		t.Fatal(err)
	}
	server, node := t.TempDir(), t.TempDir()
	servers := []string{"10.0.0.1", "10.0.0.2"}
	if err := cluster.WriteServer(provision.Server{DataDir: server, Name: "s1", Addresses: servers[:1], Bootstrap: true, Servers: servers}); err != nil {
		t.Fatal(err)
	}
	if err := cluster.WriteNode(node, "n1", servers); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir, pair string
		want      accessv1.Role
	}{
		{server, provision.ServerPair, accessv1.Role_ROLE_SERVER},
		{server, provision.SchedulerPair, accessv1.Role_ROLE_SCHEDULER},
		{server, provision.ControllerManagerPair, accessv1.Role_ROLE_CONTROLLER_MANAGER},
		{node, provision.NodePair, accessv1.Role_ROLE_NODE},
	} {
		pair, err := join.LoadPair(test.dir, test.pair)
		if err != nil {
			t.Fatal(err)
		}
		id := pair.Identity()
		if got := (access.User{Name: id.User, Groups: id.Groups}).Role(); got != test.want {
			t.Errorf("%s has role %v, want %v", test.pair, got, test.want)
		}
		// Only a server's certificate may be shown as a host's.
		for _, host := range []string{"10.0.0.1", "127.0.0.1", provision.KubernetesServiceIP, "kubernetes.default.svc"} {
			if err := pair.Leaf().VerifyHostname(host); (err == nil) != (test.pair == provision.ServerPair) {
				t.Errorf("%s as host %s: %v", test.pair, host, err)
			}
		}
	}
	ca, err := pki.LoadCA(join.PKIDir(server))
	if err != nil || ca.Pin() != cluster.CA.Pin() {
		t.Errorf("the server's CA: %v", err)
	}
	if _, err := pki.LoadCA(join.PKIDir(node)); err == nil {
		t.Error("a node holds the CA's key")
	}
	m, err := join.LoadMembership(node)
	if err != nil || m.APIAddresses[1] != "10.0.0.2:6442" || m.GossipAddresses[0] != "10.0.0.1:7946" || m.Bootstrap {
		t.Errorf("the node's membership: %+v, %v", m, err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.WriteAdmin(path, "c", "10.0.0.1:6443", servers); err != nil {
		t.Fatal(err)
	}
	if a, err := kubeconfig.Load(path); err != nil || a.Server != "https://10.0.0.1:6443" || a.GRPC[0] != "10.0.0.1:6442" {
		t.Errorf("the administrator's kubeconfig: %+v, %v", a, err)
	}
}
