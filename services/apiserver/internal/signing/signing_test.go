package signing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/signing"
)

// leading is a replica that leads.
type leading struct{ *objectstest.Replica }

func (leading) IsLeader() bool { return true }

var admin = objectstest.As(pki.AdminIdentity())

func request(t *testing.T, subject pkix.Name, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

type world struct {
	t *testing.T
	s *objects.Service
}

func (w world) target(subresource string) objects.Target {
	k, _ := w.s.Kinds().ByStoreResource("certificatesigningrequests.certificates.k8s.io")
	return objects.Target{Kind: k, Name: "r", Subresource: subresource}
}

func (w world) get() *certificatesv1.CertificateSigningRequest {
	w.t.Helper()
	stored, err := w.s.Get(admin, w.target(""), "")
	if err != nil {
		w.t.Fatal(err)
	}
	obj, err := stored.Decode()
	if err != nil {
		w.t.Fatal(err)
	}
	return obj.(*certificatesv1.CertificateSigningRequest)
}

// decide approves or denies the request, as kubectl certificate does.
func (w world) decide(as certificatesv1.RequestConditionType) {
	w.t.Helper()
	csr := w.get()
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: as, Status: corev1.ConditionTrue})
	if _, err := w.s.Update(admin, w.target("approval"), csr, false); err != nil {
		w.t.Fatal(err)
	}
}

func TestSigning(t *testing.T) {
	node := pkix.Name{CommonName: "system:node:n1", Organization: []string{"system:nodes"}}
	jane := pkix.Name{CommonName: "jane", Organization: []string{"dev"}}
	tests := []struct {
		name, signer string
		subject      pkix.Name
		names        []string
		usages       []certificatesv1.KeyUsage
		decision     certificatesv1.RequestConditionType
		want         string // a failure's message, "issued" or ""
	}{
		{"client", certificatesv1.KubeAPIServerClientSignerName, jane, nil, []certificatesv1.KeyUsage{"client auth"}, certificatesv1.CertificateApproved, "issued"},
		{"denied", certificatesv1.KubeAPIServerClientSignerName, jane, nil, []certificatesv1.KeyUsage{"client auth"}, certificatesv1.CertificateDenied, ""},
		{"client to serve", certificatesv1.KubeAPIServerClientSignerName, jane, nil, []certificatesv1.KeyUsage{"client auth", "server auth"}, certificatesv1.CertificateApproved, "invalid usage for client certificate: server auth"},
		{"client for nothing", certificatesv1.KubeAPIServerClientSignerName, jane, nil, []certificatesv1.KeyUsage{"digital signature"}, certificatesv1.CertificateApproved, "missing required usage for client certificate: client auth"},
		{"node", certificatesv1.KubeAPIServerClientKubeletSignerName, node, nil, []certificatesv1.KeyUsage{"digital signature", "client auth"}, certificatesv1.CertificateApproved, "issued"},
		{"no node", certificatesv1.KubeAPIServerClientKubeletSignerName, jane, nil, []certificatesv1.KeyUsage{"digital signature", "client auth"}, certificatesv1.CertificateApproved, "subject organization is not system:nodes"},
		{"node's server", certificatesv1.KubeletServingSignerName, node, []string{"n1"}, []certificatesv1.KeyUsage{"key encipherment", "digital signature", "server auth"}, certificatesv1.CertificateApproved, "issued"},
		{"node's server without a name", certificatesv1.KubeletServingSignerName, node, nil, []certificatesv1.KeyUsage{"digital signature", "server auth"}, certificatesv1.CertificateApproved, "DNS or IP subjectAltName is required"},
		{"node's server to call", certificatesv1.KubeletServingSignerName, node, []string{"n1"}, []certificatesv1.KeyUsage{"digital signature", "client auth"}, certificatesv1.CertificateApproved, "usages did not match [digital signature key encipherment server auth]"},
		{"another signer's", "example.com/signer", jane, nil, []certificatesv1.KeyUsage{"client auth"}, certificatesv1.CertificateApproved, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, err := pki.NewCA("test")
				if err != nil {
					t.Fatal(err)
				}
				s, replica := objectstest.New(t)
				signer, err := signing.New(signing.Config{Name: "s1", Authority: ca, Objects: s, Replica: leading{replica}, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- signer.Run(ctx) }()
				defer func() { cancel(); <-done }()
				w := world{t, s}
				csr := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
					Request: request(t, tt.subject, tt.names...), SignerName: tt.signer, Usages: tt.usages, ExpirationSeconds: ptr.To(int32(3600))}}
				if _, err := s.Create(admin, w.target(""), csr, false); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				if got := w.get(); got.Spec.Username != "kubernetes-admin" || len(got.Status.Certificate) > 0 {
					t.Fatalf("before the decision: %+v", got)
				}
				w.decide(tt.decision)
				time.Sleep(5 * time.Second)
				check(t, ca, w.get(), tt.want)
			})
		})
	}
}

func check(t *testing.T, ca *pki.CA, csr *certificatesv1.CertificateSigningRequest, want string) {
	t.Helper()
	last := csr.Status.Conditions[len(csr.Status.Conditions)-1]
	switch want {
	case "", "issued":
		if issued := len(csr.Status.Certificate) > 0; issued != (want == "issued") {
			t.Fatalf("status %+v", csr.Status)
		}
	default:
		if last.Type != certificatesv1.CertificateFailed || last.Reason != "SignerValidationFailure" || last.Message != want {
			t.Errorf("condition %+v, want %q", last, want)
		}
	}
	if want != "issued" {
		return
	}
	block, _ := pem.Decode(csr.Status.Certificate)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertificatePEM())
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	asked, _ := pki.ParseRequest(csr.Spec.Request)
	if cert.Subject.String() != asked.Subject.String() || len(cert.DNSNames) != len(asked.DNSNames) || len(cert.ExtKeyUsage) != 1 {
		t.Errorf("certificate of %s for %v", cert.Subject, cert.DNSNames)
	}
	if life := time.Until(cert.NotAfter); life > time.Hour || life < 59*time.Minute {
		t.Errorf("valid for %s, want the hour that was asked for", life)
	}
}

func TestNobodyBecomesPowerfulByRequest(t *testing.T) {
	s, _ := objectstest.New(t)
	w := world{t, s}
	for _, group := range []string{"system:masters", "muster:servers"} {
		csr := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    request(t, pkix.Name{CommonName: "eve", Organization: []string{"dev", group}}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{"client auth"}}}
		_, err := s.Create(admin, w.target(""), csr, false)
		want := `certificatesigningrequests.certificates.k8s.io "r" is forbidden: use of kubernetes.io/kube-apiserver-client signer with ` + group + ` group is not allowed`
		if !apierrors.IsForbidden(err) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
