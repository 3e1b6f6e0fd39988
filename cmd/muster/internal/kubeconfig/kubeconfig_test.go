package kubeconfig_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/pki"
)

func adminPair(t *testing.T) *pki.KeyPair {
	t.Helper()
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
	return pair
}

func TestWriteAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	want := kubeconfig.Access{Cluster: "c1", Server: "https://127.0.0.1:1234", GRPC: []string{"10.0.0.1:6442", "10.0.0.2:6442"}, KeyPair: adminPair(t)}
	if err := kubeconfig.Write(path, want); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the key: %v, %v", info, err)
	}
	got, err := kubeconfig.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Server != want.Server || !slices.Equal(got.GRPC, want.GRPC) || got.KeyPair.Identity().User != "kubernetes-admin" {
		t.Errorf("loaded %+v", got)
	}
	want.GRPC = nil
	if err := kubeconfig.Write(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := kubeconfig.Load(path); err != nil || !slices.Equal(got.GRPC, []string{"127.0.0.1:6442"}) {
		t.Errorf("without the extension: %v, %v", got.GRPC, err)
	}
}

func TestLoadSaysWhatToDo(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	if _, err := kubeconfig.Load(""); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("no file: %v", err)
	}
}
