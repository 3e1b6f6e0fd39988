package apiserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/musterhq/muster/internal/pki"
)

// TestInformer runs client-go's own list-watch, which lists by watching.
func TestInformer(t *testing.T) {
	server := startServer(t)
	client := server.client(t, pki.AdminIdentity(), protobuf)
	factory := informers.NewSharedInformerFactory(client, 0)
	added := make(chan string, 16)
	informer := factory.Core().V1().ConfigMaps().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			// Every namespace has one by itself.
			if name := obj.(*corev1.ConfigMap).Name; name != "kube-root-ca.crt" {
				added <- name
			}
		},
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer factory.Shutdown()
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("not synced")
	}
	if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "seen"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case name := <-added:
		if name != "seen" {
			t.Errorf("saw %q", name)
		}
	case <-ctx.Done():
		t.Error("the informer saw nothing")
	}
}

// TestStrangers gets in with no certificate, and with one of another authority.
func TestStrangers(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	anonymous := server.client(t, pki.AdminIdentity(), func(c *rest.Config) { c.CertData, c.KeyData = nil, nil })
	if _, err := anonymous.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("no certificate: %v", err)
	}
	wrongToken := server.client(t, pki.AdminIdentity(), func(c *rest.Config) { c.CertData, c.KeyData, c.BearerToken = nil, nil, "guess" })
	if _, err := wrongToken.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("wrong token: %v", err)
	}
	other, err := pki.NewCA("other")
	if err != nil {
		t.Fatal(err)
	}
	pair := newKeyPair(t, other, pki.AdminIdentity())
	foreign := server.client(t, pki.AdminIdentity(), func(c *rest.Config) { c.CertData, c.KeyData = pair.CertificatePEM(), pair.KeyPEM() })
	if _, err := foreign.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("foreign certificate: %v", err)
	}
	node := server.client(t, pki.NodeIdentity("n1"))
	if _, err := node.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("node lists secrets: %v", err)
	}
}

func TestHealthOverGRPC(t *testing.T) {
	server := startServer(t)
	pair := newKeyPair(t, server.authority, pki.AdminIdentity())
	conn, err := grpc.NewClient(server.grpc, grpc.WithTransportCredentials(credentials.NewTLS(pair.ClientTLS("localhost", "h2"))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// It serves once it is ready, and tells those who watch before it goes.
	stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	await := func(want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for {
			answer, err := stream.Recv()
			if err != nil {
				t.Fatalf("health until %v: %v", want, err)
			}
			if answer.GetStatus() == want {
				return
			}
		}
	}
	await(healthv1.HealthCheckResponse_SERVING)
	server.stop()
	await(healthv1.HealthCheckResponse_NOT_SERVING)
}

// TestProbes needs no credentials.
func TestProbes(t *testing.T) {
	server := startServer(t)
	pair := newKeyPair(t, server.authority, pki.AdminIdentity())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pair.Pool(), MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/version"} {
		response, err := client.Get("https://" + server.rest + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || (path != "/version" && strings.TrimSpace(string(body)) != "ok") {
			t.Errorf("%s: %d %q, %v", path, response.StatusCode, body, err)
		}
	}
}
