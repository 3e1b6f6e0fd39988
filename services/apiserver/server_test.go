package apiserver_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testServer is one server over loopback, with a directory of its own.
type testServer struct {
	authority *pki.CA
	rest      string
	grpc      string
	// stop begins the orderly end.
	stop func()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

func newKeyPair(t *testing.T, ca *pki.CA, id pki.Identity) *pki.KeyPair {
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

func startServer(t *testing.T) *testServer {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	accountKey, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	out := &testServer{authority: ca}
	restLis, grpcLis := listen(t), listen(t)
	out.rest, out.grpc = restLis.Addr().String(), grpcLis.Addr().String()
	server, err := apiserver.New(apiserver.Config{
		Name: "s1", DataDir: t.TempDir(), AdvertiseAddress: "192.0.2.1", ClusterID: "test",
		RESTListener: restLis, GRPCListener: grpcLis, RaftListener: listen(t),
		Authority: ca, KeyPair: newKeyPair(t, ca, pki.ServerIdentity("s1")), Bootstrap: true, InMemory: true,
		ServiceAccountKeyPEM: accountKey, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out.stop = cancel
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := server.WaitReady(ready); err != nil {
		t.Fatalf("wait ready: %v", err)
	}
	return out
}

// restConfig is a client's configuration with a certificate of the identity.
func (s *testServer) restConfig(t *testing.T, id pki.Identity) *rest.Config {
	t.Helper()
	pair := newKeyPair(t, s.authority, id)
	return &rest.Config{
		Host: "https://" + s.rest, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: s.authority.CertificatePEM(), CertData: pair.CertificatePEM(), KeyData: pair.KeyPEM(),
		},
	}
}

func (s *testServer) client(t *testing.T, id pki.Identity, change ...func(*rest.Config)) *kubernetes.Clientset {
	t.Helper()
	config := s.restConfig(t, id)
	for _, f := range change {
		f(config)
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, http)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func protobuf(c *rest.Config) {
	c.ContentType = "application/vnd.kubernetes.protobuf"
	c.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
}

func ptr[T any](v T) *T { return &v }

func describe(v any) string { return fmt.Sprintf("%+v", v) }
