package cluster_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	scheduler = clusterv1.CertificateRole_CERTIFICATE_ROLE_SCHEDULER
	manager   = clusterv1.CertificateRole_CERTIFICATE_ROLE_CONTROLLER_MANAGER
)

// A service that runs apart gets the certificate of its role, can renew it, and is
// told no secret of the cluster.
func TestJoinAsAService(t *testing.T) {
	f := start(t)
	for role, user := range map[clusterv1.CertificateRole]string{scheduler: pki.UserScheduler, manager: pki.UserControllerManager} {
		granted, err := join.Join(t.Context(), join.Request{Token: f.token(t, role), Role: role, Name: "one"})
		if err != nil {
			t.Fatal(err)
		}
		leaf := granted.KeyPair.Leaf()
		if id := granted.KeyPair.Identity(); id.User != user || len(id.Groups) != 0 || len(leaf.DNSNames)+len(leaf.IPAddresses) != 0 {
			t.Errorf("certificate of %v, for %v and %v; want user %s alone", id, leaf.DNSNames, leaf.IPAddresses, user)
		}
		if granted.Authority != nil || granted.ServiceAccountKeyPEM != nil || granted.Membership.GossipKey != nil || granted.Membership.GossipAddresses != nil {
			t.Errorf("%s is given secrets of the cluster", user)
		}
		if m := granted.Membership; m.APIAddresses[0] != f.address || m.ClusterID != "cluster-1" {
			t.Errorf("membership %+v", m)
		}
		client := f.as(t, granted.KeyPair)
		_, csr, err := pki.NewRequest()
		if err != nil {
			t.Fatal(err)
		}
		renewed, err := client.Renew(t.Context(), &clusterv1.RenewRequest{CsrDer: csr})
		if err != nil || len(renewed.GetCertificatePem()) == 0 {
			t.Errorf("renew as %s: %v", user, err)
		}
		if _, err := client.CreateToken(t.Context(), &clusterv1.CreateTokenRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s makes tokens: %v", user, err)
		}
	}
}

// A token lets in what it was made for. One without a role is for nodes and
// servers, as ever.
func TestTokensOfServicesAreForThemOnly(t *testing.T) {
	f := start(t)
	for _, test := range []struct {
		name  string
		token join.Token
		role  clusterv1.CertificateRole
		add   []string
		want  string
	}{
		{"a scheduler's for a controller manager", f.token(t, scheduler), manager, nil, "does not let in a controller-manager: make one that does with `muster token create --role controller-manager`"},
		{"a scheduler's for a node", f.token(t, scheduler), node, nil, "does not let in a node"},
		{"a controller manager's for a server", f.token(t, manager), server, nil, "does not let in a server"},
		{"a node's for a scheduler", f.token(t, node), scheduler, nil, "does not let in a scheduler"},
		{"one without a role for a scheduler", f.token(t), scheduler, nil, "does not let in a scheduler"},
		{"a scheduler that wants to be a host", f.token(t, scheduler), scheduler, []string{"kubernetes"}, "the certificate of a scheduler holds no addresses"},
	} {
		_, err := join.Join(t.Context(), join.Request{Token: test.token, Role: test.role, Name: "one", Addresses: test.add})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
