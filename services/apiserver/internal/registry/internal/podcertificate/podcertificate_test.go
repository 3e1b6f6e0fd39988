package podcertificate_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/internal/podcertificate"
)

func request(t *testing.T) (*certificatesv1.PodCertificateRequest, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.PodCertificateRequest{Spec: certificatesv1.PodCertificateRequestSpec{
		SignerName: "example.com/signer", PodName: "p", PodUID: "1", ServiceAccountName: "default", ServiceAccountUID: "2",
		NodeName: "n", NodeUID: "3", MaxExpirationSeconds: ptr.To[int32](86400), StubPKCS10Request: der,
	}}, key
}

func TestValidateSpec(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*certificatesv1.PodCertificateRequestSpec)
		want   string
	}{
		{"good", func(*certificatesv1.PodCertificateRequestSpec) {}, ""},
		{"no pod", func(s *certificatesv1.PodCertificateRequestSpec) { s.PodUID = "" }, `spec.podUID: Invalid value: "": must not be empty`},
		{"short", func(s *certificatesv1.PodCertificateRequestSpec) { s.MaxExpirationSeconds = ptr.To[int32](60) }, "spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]"},
		{"long", func(s *certificatesv1.PodCertificateRequestSpec) {
			s.SignerName, s.MaxExpirationSeconds = "kubernetes.io/kube-apiserver-client-pod", ptr.To[int32](86401)
		}, "spec.maxExpirationSeconds: Invalid value: 86401: must be in the range [3600, 86400]"},
		{"nonsense", func(s *certificatesv1.PodCertificateRequestSpec) { s.StubPKCS10Request = []byte("x") }, "spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR"},
		{"forged", func(s *certificatesv1.PodCertificateRequestSpec) {
			s.StubPKCS10Request[len(s.StubPKCS10Request)-1] ^= 1
		}, "spec.stubPKCS10Request: Invalid value: invalid signature"},
	} {
		obj, _ := request(t)
		test.change(&obj.Spec)
		errs := podcertificate.ValidateSpec(&obj.Spec, field.NewPath("spec"))
		got := ""
		if err := errs.ToAggregate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestValidateStatus(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	issue := func(t *testing.T, key ed25519.PrivateKey, life time.Duration) certificatesv1.PodCertificateRequestStatus {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(life)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return certificatesv1.PodCertificateRequestStatus{
			Conditions:       []metav1.Condition{{Type: "Issued", Status: "True", Reason: "Issued", LastTransitionTime: metav1.NewTime(now)}},
			CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			NotBefore:        ptr.To(metav1.NewTime(now)), NotAfter: ptr.To(metav1.NewTime(now.Add(life))), BeginRefreshAt: ptr.To(metav1.NewTime(now.Add(life / 2))),
		}
	}
	for _, test := range []struct {
		name   string
		change func(old, obj *certificatesv1.PodCertificateRequest)
		want   string
	}{
		{"good", func(_, _ *certificatesv1.PodCertificateRequest) {}, ""},
		{"again", func(old, obj *certificatesv1.PodCertificateRequest) {
			old.Status = *obj.Status.DeepCopy()
			obj.Status.CertificateChain = ""
		}, "status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed"},
		{"denied with a certificate", func(_, obj *certificatesv1.PodCertificateRequest) { obj.Status.Conditions[0].Type = "Denied" },
			"status: Invalid value: non-condition status fields must be empty when denying or failing the PodCertificateRequest"},
		{"other key", func(_, obj *certificatesv1.PodCertificateRequest) {
			_, other := request(t)
			obj.Status = issue(t, other, 2*time.Hour)
		}, "status.certificateChain: Invalid value: leaf certificate was not issued to the requested public key"},
		{"short", func(_, obj *certificatesv1.PodCertificateRequest) { obj.Status.NotAfter = nil }, "status.notAfter: Required value: must be present and consistent with the issued certificate"},
		{"too long", func(_, obj *certificatesv1.PodCertificateRequest) {
			obj.Spec.MaxExpirationSeconds = ptr.To[int32](3600)
		},
			`status.certificateChain: Invalid value: "2h0m0s": leaf certificate lifetime must be <= spec.maxExpirationSeconds (3600)`},
		{"unknown condition", func(_, obj *certificatesv1.PodCertificateRequest) { obj.Status.Conditions[0].Type = "Maybe" },
			`status.conditions[0].type: Unsupported value: "Maybe": supported values: "Issued", "Denied", "Failed"`},
		{"nothing decided", func(_, obj *certificatesv1.PodCertificateRequest) { obj.Status.Conditions = nil },
			`status: Invalid value: status is immutable unless transitioning to "Issued", "Denied", or "Failed"`},
	} {
		old, key := request(t)
		obj := old.DeepCopy()
		obj.Status = issue(t, key, 2*time.Hour)
		test.change(old, obj)
		var got []string
		for _, err := range podcertificate.ValidateStatus(obj, old) {
			got = append(got, err.Error())
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
	}
}
