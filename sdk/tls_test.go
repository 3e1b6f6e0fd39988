package sdk_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

// authority signs certificates for names.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func sign(t *testing.T, parent *authority, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent.cert == nil {
		parent = &authority{cert: template, key: key}
	}
	template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, &key.PublicKey, parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// named answers every list with its own name as the revision.
type named struct {
	apiv1.UnimplementedObjectServiceServer
	name string
}

func (n named) List(context.Context, *apiv1.ListRequest) (*apiv1.ListResponse, error) {
	return &apiv1.ListResponse{ResourceVersion: n.name}, nil
}

func serveTLS(t *testing.T, ca *authority, ip string) (address string, stop func()) {
	t.Helper()
	cert, key := sign(t, ca, &x509.Certificate{IPAddresses: []net.IP{net.ParseIP(ip)}})
	lis, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key})))
	apiv1.RegisterObjectServiceServer(srv, named{name: lis.Addr().String()})
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	stop = func() { srv.Stop(); <-done }
	t.Cleanup(stop)
	return lis.Addr().String(), stop
}

// TestServersAreVerifiedEachByItsOwnName goes from one server to another over
// TCP, where the certificate of neither is good for the other.
func TestServersAreVerifiedEachByItsOwnName(t *testing.T) {
	ca := &authority{}
	ca.cert, ca.key = sign(t, ca, &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	stops := map[string]func(){}
	cfg := sdk.Config{TLS: &tls.Config{RootCAs: pool}}
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		address, stop := serveTLS(t, ca, ip)
		stops[address] = stop
		cfg.Servers = append(cfg.Servers, address)
	}
	c, err := sdk.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first, err := sdk.List[*corev1.Pod](ctx, c, sdk.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stops[first.ResourceVersion]()
	second, err := sdk.List[*corev1.Pod](ctx, c, sdk.ListOptions{})
	if err != nil || second.ResourceVersion == first.ResourceVersion {
		t.Fatalf("after %s stopped: %+v, %v", first.ResourceVersion, second, err)
	}
}
