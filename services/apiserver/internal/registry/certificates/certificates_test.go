package certificates_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const csrs = "certificatesigningrequests.certificates.k8s.io"

func certificateRequest(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestCertificateRequestValidation(t *testing.T) {
	request := certificateRequest(t)
	csr := func(text string) string { return `{spec: {request: ` + request + `, ` + text + `}}` }
	signer := func(name string) string { return csr(`usages: [client auth], signerName: "` + name + `"`) }
	const usages = `supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", csrs, csr(`signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], expirationSeconds: 600`), ``},
		{"no request", csrs, `{spec: {signerName: a.example/b, usages: [any], request: QQ==}}`, `spec.request: Invalid value: "QQ==": PEM block type must be CERTIFICATE REQUEST`},
		{"no usages", csrs, csr(`signerName: a.example/b`), `spec.usages: Required value`},
		{"usage", csrs, csr(`signerName: a.example/b, usages: [all]`), `spec.usages[0]: Unsupported value: "all": ` + usages},
		{"usage twice", csrs, csr(`signerName: a.example/b, usages: [any, any]`), `spec.usages[1]: Duplicate value: "any"`},
		{"no signer", csrs, csr(`usages: [any]`), `spec.signerName: Required value`},
		{"legacy signer", csrs, signer("kubernetes.io/legacy-unknown"), `spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version`},
		{"signer without domain", csrs, signer("b"), `spec.signerName: Invalid value: "b": must be a fully qualified domain and path of the form 'example.com/signer-name'`},
		{"signer of a short domain", csrs, signer("a/b"), `spec.signerName: Invalid value: "a": should be a domain with at least two segments separated by dots`},
		{"signer's path", csrs, signer("a.example/B"), `spec.signerName: Invalid value: "B": validating label "B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
		{"short life", csrs, csr(`signerName: a.example/b, usages: [any], expirationSeconds: 599`), `spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{csrs, `{spec: {signerName: a.example/b, username: jane}}`, `a.example/b | jane | <none> | Pending`},
		{csrs, `{spec: {username: jane, expirationSeconds: 86400}, status: {certificate: QQ==, conditions: [{type: Approved}]}}`, `<none> | jane | 24h | Approved,Issued`},
		{csrs, `{spec: {signerName: s}, status: {conditions: [{type: Approved}, {type: Denied}, {type: Failed}]}}`, `s |  | <none> | Denied,Failed`},
	})
}

func approvable(t *testing.T) (*registry.Kind, *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	k := kindtest.Kind(t, csrs)
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: r}, spec: {request: `+certificateRequest(t)+`, signerName: a.example/b, usages: [any], username: root, groups: [all]}, status: {conditions: [{type: Approved, status: "True"}]}}`)).(*certificatesv1.CertificateSigningRequest)
	if err := k.Requested(obj, access.User{Name: "jane", UID: "7", Groups: []string{"dev"}, Extra: map[string][]string{"k": {"v"}}}); err != nil {
		t.Fatal(err)
	}
	return k, obj
}

// Who asks is who is authenticated, and nobody brings an approval along.
func TestCertificateRequestIsItsRequesters(t *testing.T) {
	k, obj := approvable(t)
	s := obj.Spec
	if s.Username != "jane" || s.UID != "7" || len(s.Groups) != 1 || s.Groups[0] != "dev" || s.Extra["k"][0] != "v" || len(obj.Status.Conditions) > 0 {
		t.Errorf("spec %+v, status %+v", s, obj.Status)
	}
	changed := obj.DeepCopy()
	changed.Spec.Usages, changed.Status.Certificate = nil, []byte("x")
	k.PrepareUpdate(changed, obj)
	if len(changed.Spec.Usages) != 1 || len(changed.Status.Certificate) > 0 {
		t.Errorf("an update changed %+v, %+v", changed.Spec, changed.Status)
	}
}

func TestApproval(t *testing.T) {
	k, obj := approvable(t)
	approval, _ := k.Subresource("approval")
	decide := func(types ...certificatesv1.RequestConditionType) (*certificatesv1.CertificateSigningRequest, field.ErrorList) {
		sub := obj.DeepCopy()
		sub.Annotations = map[string]string{"decided": "yes"}
		sub.Spec, sub.Status = certificatesv1.CertificateSigningRequestSpec{}, certificatesv1.CertificateSigningRequestStatus{Certificate: []byte("x")}
		for _, c := range types {
			sub.Status.Conditions = append(sub.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c, Status: corev1.ConditionTrue})
		}
		approval.PrepareUpdate(sub, obj)
		return sub, append(k.Validate(sub), approval.ValidateUpdate(sub, obj)...)
	}
	approved, errs := decide(certificatesv1.CertificateApproved)
	kindtest.WantErrors(t, errs)
	c := approved.Status.Conditions[0]
	if c.LastUpdateTime.IsZero() || c.LastTransitionTime.IsZero() || len(approved.Status.Certificate) > 0 ||
		approved.Spec.Username != "jane" || approved.Annotations["decided"] != "yes" {
		t.Errorf("approved %+v", approved)
	}
	_, errs = decide(certificatesv1.CertificateApproved, certificatesv1.CertificateDenied)
	kindtest.WantErrors(t, errs, `status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`)
	obj = approved
	_, errs = decide()
	kindtest.WantErrors(t, errs, `status.conditions: Forbidden: updates may not remove a condition of type "Approved"`)
	needs := approval.Needs(obj, obj)
	if needs.Verb != "approve" || needs.Resource.String() != "signers.certificates.k8s.io" || strings.Join(needs.Names, " ") != "a.example/b a.example/*" ||
		needs.Refusal != `user not permitted to approve requests with signerName "a.example/b"` {
		t.Errorf("needs %+v", needs)
	}
}

func TestSigningOnlySigns(t *testing.T) {
	k, obj := approvable(t)
	status := func(change func(*certificatesv1.CertificateSigningRequestStatus)) *certificatesv1.CertificateSigningRequest {
		out := obj.DeepCopy()
		change(&out.Status)
		k.PrepareStatusUpdate(out, obj)
		return out
	}
	approved := status(func(s *certificatesv1.CertificateSigningRequestStatus) {
		s.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	})
	kindtest.WantErrors(t, k.ValidateStatusUpdate(approved, obj), `status.conditions: Forbidden: updates may not add a condition of type "Approved"`)
	broken := status(func(s *certificatesv1.CertificateSigningRequestStatus) { s.Certificate = []byte("x") })
	kindtest.WantErrors(t, k.ValidateStatusUpdate(broken, obj), `status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block`)
	key := status(func(s *certificatesv1.CertificateSigningRequestStatus) {
		s.Certificate = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})
	})
	kindtest.WantErrors(t, k.ValidateStatusUpdate(key, obj), `status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "PRIVATE KEY"`)
	sub, _ := k.Subresource("status")
	if n := sub.Needs(broken, obj); n == nil || n.Verb != "sign" || sub.Needs(obj, obj.DeepCopy()) != nil {
		t.Errorf("to sign needs %+v", n)
	}
}

// As with Kubernetes' controller that cleans up: an hour after the decision, a day
// without one.
func TestCertificateRequestsExpire(t *testing.T) {
	k, obj := approvable(t)
	obj.CreationTimestamp = metav1.NewTime(kindtest.Time)
	if got := k.Expires(obj, kindtest.Time.Add(time.Minute)); !got.Equal(kindtest.Time.Add(24 * time.Hour)) {
		t.Errorf("pending until %s", got)
	}
	decided := metav1.NewTime(kindtest.Time.Add(time.Minute))
	obj.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, LastUpdateTime: decided}}
	if got := k.Expires(obj, kindtest.Time); !got.Equal(decided.Add(time.Hour)) {
		t.Errorf("denied until %s", got)
	}
}

func TestTrustBundles(t *testing.T) {
	const bundles = "clustertrustbundles.certificates.k8s.io"
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, _, err := ca.Issue(pki.Identity{User: "u"}, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	anchors := func(name, signer string, list ...[]byte) string {
		text, _ := json.Marshal(string(bytes.Join(list, nil)))
		return `{metadata: {name: "` + name + `"}, spec: {signerName: "` + signer + `", trustBundle: ` + string(text) + `}}`
	}
	const bad = `spec.trustBundle: Invalid value: "<value omitted>": `
	authority := ca.CertificatePEM()
	kindtest.CheckNew(t, []kindtest.Sample{
		{"anybody's", bundles, anchors("a.b", "", authority), ``},
		{"a signer's", bundles, anchors("a.example:s:x", "a.example/s", authority), ``},
		{"name of a signer's", bundles, anchors("a:b", "", authority), `metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name`},
		{"name of no signer's", bundles, anchors("b", "a.example/s", authority), `metadata.name: Invalid value: "b": ClusterTrustBundle for signerName a.example/s must be named with prefix a.example:s:`},
		{"nothing", bundles, anchors("a", ""), bad + `at least one trust anchor must be provided`},
		{"twice", bundles, anchors("a", "", authority, authority), bad + `duplicate trust anchor (indices [0 1])`},
		{"no authority", bundles, anchors("a", "", authority, leaf), bad + `entry 1 does not have the CA bit set`},
		{"a key", bundles, anchors("a", "", ca.KeyPEM()), bad + `entry 0 has bad block type: PRIVATE KEY`},
	})
	k := kindtest.Kind(t, bundles)
	needs := k.Needs(kindtest.Decode(t, k, anchors("x", "a.example/s")), nil)
	if needs == nil || needs.Verb != "attest" || needs.Refusal != `user not permitted to attest for signerName "a.example/s"` || k.Needs(kindtest.Decode(t, k, anchors("x", "")), nil) != nil {
		t.Errorf("needs %+v", needs)
	}
	kindtest.CheckShown(t, []kindtest.Shown{{bundles, `{spec: {signerName: a.example/s}}`, `a.example/s`}, {bundles, `{}`, `<none>`}})
}
