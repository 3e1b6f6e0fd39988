package cli

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func TestWriteKubeconfig(t *testing.T) {
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(pki.AdminIdentity(), nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	first := kubeconfig.Access{Cluster: "c", Server: "https://10.0.0.1:6443", GRPC: []string{"10.0.0.1:6442"}, KeyPair: pair}
	// One that has just joined has not said yet where it is.
	members := []*clusterv1.Member{{ApiAddress: "10.0.0.1:6442"}, {ApiAddress: "10.0.0.2:6442"}, {Id: "new"}}
	for _, test := range []struct{ server, want string }{
		{"", first.Server}, {"https://127.0.0.1:7443", "https://127.0.0.1:7443"},
	} {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		if err := writeKubeconfig(path, test.server, first, members); err != nil {
			t.Fatal(err)
		}
		got, err := kubeconfig.Load(path)
		if err != nil || got.Server != test.want || !slices.Equal(got.GRPC, []string{"10.0.0.1:6442", "10.0.0.2:6442"}) {
			t.Errorf("with --server %q: %+v, %v", test.server, got, err)
		}
	}
}
