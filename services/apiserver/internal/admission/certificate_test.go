package admission_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSubjectOfCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ signer, group, want string }{
		{"kubernetes.io/kube-apiserver-client", "team", ""},
		{"example.com/any", "system:masters", ""},
		{"kubernetes.io/kube-apiserver-client", "system:masters", `certificatesigningrequests.certificates.k8s.io "c" is forbidden: ` +
			"use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane", Organization: []string{test.group}}}, key)
		if err != nil {
			t.Fatal(err)
		}
		obj := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
		obj.Spec.SignerName, obj.Spec.Request = test.signer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		expect(t, admit(t, stored(t), obj, nil), outcome{err: test.want})
	}
}

func TestNewNodesAreTainted(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	for range 2 {
		expect(t, admit(t, stored(t), node, nil), outcome{})
		if taints := node.Spec.Taints; len(taints) != 1 || taints[0].Key != "node.kubernetes.io/not-ready" || taints[0].Effect != corev1.TaintEffectNoSchedule {
			t.Errorf("taints %v", taints)
		}
	}
}
