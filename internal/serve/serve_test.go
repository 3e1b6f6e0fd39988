package serve_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

func pairs(t *testing.T) (server, client *pki.KeyPair) {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	make := func(id pki.Identity, addresses ...string) *pki.KeyPair {
		certPEM, keyPEM, err := ca.Issue(id, addresses, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	return make(pki.ServerIdentity("s1"), "127.0.0.1"), make(pki.NodeIdentity("n1"))
}

// hanging is a service whose stream ends only with its context.
type hanging struct {
	clusterv1.UnimplementedClusterServiceServer
	started chan struct{}
}

func (h hanging) ListMembers(ctx context.Context, _ *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	user, _ := access.UserFrom(ctx)
	close(h.started)
	<-ctx.Done()
	return &clusterv1.ListMembersResponse{ClusterId: user.Name}, ctx.Err()
}

// A client whose cable was pulled after it had connected and before it said anything.
func TestGRPCStopsWithASilentClient(t *testing.T) {
	server, _ := pairs(t)
	synctest.Test(t, func(t *testing.T) {
		srv := serve.NewGRPCServer(credentials.NewTLS(server.ServerTLS(tls.VerifyClientCertIfGiven, "h2")), access.NewGuard(access.UserFromPeer))
		lis := bufconn.Listen(1 << 10)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- serve.GRPC(ctx, slog.New(slog.DiscardHandler), lis, srv) }()
		conn, err := lis.DialContext(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		begun := time.Now()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("it took %v to stop", took)
		}
	})
}

func TestGRPCStopsWithAHangingCall(t *testing.T) {
	server, client := pairs(t)
	srv := serve.NewGRPCServer(credentials.NewTLS(server.ServerTLS(tls.VerifyClientCertIfGiven, "h2")), access.NewGuard(access.UserFromPeer))
	h := hanging{started: make(chan struct{})}
	clusterv1.RegisterClusterServiceServer(srv, h)
	lis := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve.GRPC(ctx, slog.New(slog.DiscardHandler), lis, srv) }()

	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client.PeerTLS(pki.IsServer, "h2"))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	called := make(chan error, 1)
	go func() {
		_, err := clusterv1.NewClusterServiceClient(conn).ListMembers(t.Context(), &clusterv1.ListMembersRequest{})
		called <- err
	}()
	select {
	case <-h.started:
	case err := <-called:
		t.Fatalf("call: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := <-called; err == nil {
		t.Error("the hanging call came back well")
	}
}

func TestHTTPEndsRequestsWithItsContext(t *testing.T) {
	server, client := pairs(t)
	lis := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	srv := &http.Server{
		TLSConfig: server.ServerTLS(tls.RequireAndVerifyClientCert, "h2", "http/1.1"),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "watching")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
	}
	served := make(chan error, 1)
	go func() { served <- serve.HTTP(ctx, slog.New(slog.DiscardHandler), lis, srv) }()

	transport := &http.Transport{TLSClientConfig: client.ClientTLS(""), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("protocol %s, want HTTP/2", resp.Proto)
	}
	cancel()
	if body, err := io.ReadAll(resp.Body); string(body) != "watching" || err != nil {
		t.Errorf("the watch ended with %q, %v", body, err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// Who has a connection when the server is asked to end gets an answer, also if
// the server has not taken it yet.
func TestHTTPAnswersWhoWaitsInItsQueue(t *testing.T) {
	server, client := pairs(t)
	lis := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	busy, closing := make(chan struct{}), make(chan struct{})
	srv := &http.Server{
		TLSConfig: server.ServerTLS(tls.RequireAndVerifyClientCert, "h2", "http/1.1"),
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") }),
		// It accepts no further one while this runs.
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew && ctx.Err() == nil {
				close(busy)
				<-closing
			}
		},
		BaseContext: func(net.Listener) context.Context { return context.Background() },
	}
	srv.RegisterOnShutdown(sync.OnceFunc(func() { close(closing) }))
	served := make(chan error, 1)
	go func() { served <- serve.HTTP(ctx, slog.New(slog.DiscardHandler), lis, srv) }()

	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	<-busy
	cancel()
	<-closing
	for i, conn := range conns {
		transport := &http.Transport{
			TLSClientConfig: client.ClientTLS(""), ForceAttemptHTTP2: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + lis.Addr().String())
		if err != nil {
			t.Errorf("client %d: %v", i, err)
			continue
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "answer" || err != nil {
			t.Errorf("client %d: %q, %v", i, body, err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// An answer is waited for for longer than a connection on which nothing is asked.
func TestHTTPEndsInTime(t *testing.T) {
	for name, tt := range map[string]struct {
		takes, ends time.Duration // 0 takes: nothing is asked
		answered    bool
	}{
		"nothing is asked":     {ends: time.Second},
		"a quick answer":       {takes: 50 * time.Millisecond, ends: 100 * time.Millisecond, answered: true},
		"a slow answer":        {takes: 3500 * time.Millisecond, ends: 4 * time.Second, answered: true},
		"an answer that hangs": {takes: time.Minute, ends: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lis := bufconn.Listen(1 << 10)
				ctx, cancel := context.WithCancel(t.Context())
				srv := &http.Server{
					Handler:     http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(tt.takes) }),
					BaseContext: func(net.Listener) context.Context { return context.Background() },
				}
				served := make(chan error, 1)
				go func() { served <- serve.HTTP(ctx, slog.New(slog.DiscardHandler), lis, srv) }()
				conn, err := lis.DialContext(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				answered := make(chan bool, 1)
				if tt.takes > 0 {
					go func() {
						_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
						text, _ := io.ReadAll(conn)
						answered <- strings.HasPrefix(string(text), "HTTP/1.1 200 OK")
					}()
				} else {
					answered <- false
				}
				synctest.Wait()
				cancel()
				began := time.Now()
				if err := <-served; err != nil {
					t.Errorf("serve: %v", err)
				}
				if took := time.Since(began); took > tt.ends || took < tt.takes && tt.answered {
					t.Errorf("it ended after %v", took)
				}
				if got := <-answered; got != tt.answered {
					t.Errorf("answered: %v", got)
				}
				time.Sleep(tt.takes) // the handler that hangs
			})
		})
	}
}
