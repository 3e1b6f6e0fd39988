package signing

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/musterhq/muster/internal/pki"
)

// What the cluster's authority signs is what Kubernetes documents of its built-in
// signers; texts are Kubernetes' own.

// policy says why a request may not be signed; nil is that it may.
type policy func(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error

// policies are by signer. Requests for others are somebody else's to sign.
var policies = map[string]policy{
	certificatesv1.KubeAPIServerClientSignerName:        client,
	certificatesv1.KubeAPIServerClientKubeletSignerName: kubeletClient,
	certificatesv1.KubeletServingSignerName:             kubeletServing,
}

func client(_ *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	optional := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageClientAuth}
	for _, u := range usages {
		if !slices.Contains(optional, u) {
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}

func kubeletClient(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !ofNodes(r):
		return errNotOfNodes
	case len(r.DNSNames) > 0:
		return errors.New("DNS subjectAltNames are not allowed")
	case len(r.EmailAddresses) > 0:
		return errEmail
	case len(r.IPAddresses) > 0:
		return errors.New("IP subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errURI
	case !namesNode(r):
		return errNoNodeName
	}
	return kubeletUsages(usages, certificatesv1.UsageClientAuth)
}

func kubeletServing(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !ofNodes(r):
		return errNotOfNodes
	case len(r.DNSNames)+len(r.IPAddresses) == 0:
		return errors.New("DNS or IP subjectAltName is required")
	case len(r.EmailAddresses) > 0:
		return errEmail
	case len(r.URIs) > 0:
		return errURI
	}
	if err := kubeletUsages(usages, certificatesv1.UsageServerAuth); err != nil {
		return err
	}
	if !namesNode(r) {
		return errNoNodeName
	}
	return nil
}

var (
	errNotOfNodes = errors.New("subject organization is not system:nodes")
	errNoNodeName = errors.New("subject common name does not begin with system:node:")
	errEmail      = errors.New("Email subjectAltNames are not allowed") //nolint:staticcheck // Kubernetes' words.
	errURI        = errors.New("URI subjectAltNames are not allowed")
)

func ofNodes(r *x509.CertificateRequest) bool {
	return slices.Equal(r.Subject.Organization, []string{pki.GroupNodes})
}

func namesNode(r *x509.CertificateRequest) bool {
	return strings.HasPrefix(r.Subject.CommonName, "system:node:")
}

// kubeletUsages wants the usage and digital signature, and allows what RSA needs.
func kubeletUsages(usages []certificatesv1.KeyUsage, auth certificatesv1.KeyUsage) error {
	all := slices.Sorted(slices.Values([]certificatesv1.KeyUsage{auth, certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment}))
	asked := slices.Compact(slices.Sorted(slices.Values(usages)))
	without := slices.DeleteFunc(slices.Clone(all), func(u certificatesv1.KeyUsage) bool { return u == certificatesv1.UsageKeyEncipherment })
	if !slices.Equal(asked, all) && !slices.Equal(asked, without) {
		return fmt.Errorf("usages did not match %v", all)
	}
	return nil
}
