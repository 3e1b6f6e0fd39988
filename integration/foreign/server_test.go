// Package foreign holds tests by clients of the gRPC door that nobody here wrote:
// grpcurl, and what other languages generate from the protos.
package foreign_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver"
)

// server is an apiserver of one member on loopback, and the files by which an
// administrator reaches it.
type server struct {
	address       string
	ca, cert, key string // paths
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// start runs a server until the test ends.
func start(t *testing.T) server {
	t.Helper()
	ca, err := pki.NewCA("foreign")
	if err != nil {
		t.Fatal(err)
	}
	rpc := listen(t)
	s, err := apiserver.New(apiserver.Config{
		Name: "s1", DataDir: t.TempDir(), AdvertiseAddress: "127.0.0.1", ClusterID: "foreign",
		RESTListener: listen(t), GRPCListener: rpc, RaftListener: listen(t),
		Authority: ca, KeyPair: issue(t, ca, pki.ServerIdentity("s1")), Bootstrap: true, InMemory: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := s.WaitReady(ready); err != nil {
		t.Fatalf("wait ready: %v", err)
	}
	out := server{address: rpc.Addr().String()}
	dir := t.TempDir()
	admin := issue(t, ca, pki.AdminIdentity())
	for _, f := range []struct {
		path *string
		name string
		data []byte
	}{{&out.ca, "ca.crt", ca.CertificatePEM()}, {&out.cert, "admin.crt", admin.CertificatePEM()}, {&out.key, "admin.key", admin.KeyPEM()}} {
		*f.path = filepath.Join(dir, f.name)
		if err := os.WriteFile(*f.path, f.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func issue(t *testing.T, ca *pki.CA, id pki.Identity) *pki.KeyPair {
	t.Helper()
	cert, key, err := ca.Issue(id, pki.ServerAddresses("127.0.0.1"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(cert, key, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
