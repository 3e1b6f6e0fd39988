package admission

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// mastersGroup may do everything, whatever roles say.
const mastersGroup = "system:masters"

// restrictSubject refuses to have a client certified as one of the masters.
func restrictSubject(r *Request) error {
	obj := r.Object.(*certificatesv1.CertificateSigningRequest)
	if r.Operation != Create || obj.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	block, _ := pem.Decode(obj.Spec.Request)
	if block == nil {
		return r.refuse("failed to parse CSR: PEM block type must be CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return r.Forbidden(fmt.Errorf("failed to parse CSR: %w", err))
	}
	if slices.Contains(request.Subject.Organization, mastersGroup) {
		return r.Forbidden(errors.New("use of " + certificatesv1.KubeAPIServerClientSignerName + " signer with " + mastersGroup + " group is not allowed"))
	}
	return nil
}
