// Package loopback runs an apiserver alone, on loopback and in real time, for tests by
// clients that nobody here wrote.
package loopback

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/apiserver"
)

const host = "127.0.0.1"

// Server is an apiserver of one member.
type Server struct {
	// REST and GRPC are where its doors are, host:port.
	REST, GRPC string

	t         *testing.T
	authority *pki.CA
}

// Start runs a server until the test ends.
func Start(t *testing.T) *Server {
	t.Helper()
	ca, err := pki.NewCA("loopback")
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	door, rpc := listen(t), listen(t)
	s := &Server{REST: door.Addr().String(), GRPC: rpc.Addr().String(), t: t, authority: ca}
	server, err := apiserver.New(apiserver.Config{
		Name: "s1", DataDir: t.TempDir(), AdvertiseAddress: host, ClusterID: "loopback",
		RESTListener: door, GRPCListener: rpc, RaftListener: listen(t),
		Authority: ca, KeyPair: s.KeyPair(pki.ServerIdentity("s1")), Bootstrap: true, InMemory: true,
		ServiceAccountKeyPEM: accounts, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := server.WaitReady(ready); err != nil {
		t.Fatalf("wait ready: %v", err)
	}
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// KeyPair is a certificate of the identity, good for an hour.
func (s *Server) KeyPair(id pki.Identity) *pki.KeyPair {
	s.t.Helper()
	cert, key, err := s.authority.Issue(id, pki.ServerAddresses(host), time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(cert, key, s.authority.CertificatePEM())
	if err != nil {
		s.t.Fatal(err)
	}
	return pair
}

// Config is that of a client with a certificate of the identity; of one without
// credentials where that is empty. It never waits before it asks.
func (s *Server) Config(id pki.Identity) *rest.Config {
	s.t.Helper()
	config := &rest.Config{Host: "https://" + s.REST, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: s.authority.CertificatePEM()}}
	if id.User != "" {
		pair := s.KeyPair(id)
		config.CertData, config.KeyData = pair.CertificatePEM(), pair.KeyPEM()
	}
	return config
}

// SDK is an administrator's client of the gRPC door, closed when the test ends.
func (s *Server) SDK() *sdk.Client { return s.SDKOf(pki.AdminIdentity()) }

// SDKOf is the same with a certificate of the identity.
func (s *Server) SDKOf(id pki.Identity) *sdk.Client {
	s.t.Helper()
	client, err := sdk.Dial(sdk.Config{Servers: []string{s.GRPC}, TLS: s.KeyPair(id).PeerTLS(pki.IsServer, "h2")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Files are the paths of what an administrator's client reads.
type Files struct{ CA, Cert, Key string }

// Files writes an administrator's credentials into a directory of the test.
func (s *Server) Files() Files {
	s.t.Helper()
	dir, admin := s.t.TempDir(), s.KeyPair(pki.AdminIdentity())
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			s.t.Fatal(err)
		}
		return path
	}
	return Files{
		CA:   write("ca.crt", s.authority.CertificatePEM()),
		Cert: write("admin.crt", admin.CertificatePEM()), Key: write("admin.key", admin.KeyPEM()),
	}
}
