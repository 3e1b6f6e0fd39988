// Package podcertificate checks requests for certificates of pods, and what signers
// answer to them. The rules and their words are those of Kubernetes' API reference.
package podcertificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// Bounds of a request: seconds that a certificate lives, and bytes.
const (
	shortest          = 60 * 60
	longest           = 91 * 24 * 60 * 60
	longestKubernetes = 24 * 60 * 60 // of Kubernetes' own signers
	largestRequest    = 10 * 1024
	largestChain      = 100 * 1024
	longestUID        = 128
)

// Default has a certificate live a day where nothing is said.
func Default(s *certificatesv1.PodCertificateRequestSpec) {
	if s.MaxExpirationSeconds == nil {
		s.MaxExpirationSeconds = ptr.To[int32](longestKubernetes)
	}
}

// ValidateSpec checks a request, but for the name of its signer.
func ValidateSpec(s *certificatesv1.PodCertificateRequestSpec, path *field.Path) field.ErrorList {
	errs := apivalidation.ValidateAnnotations(s.UnverifiedUserAnnotations, path.Child("unverifiedUserAnnotations"))
	for _, of := range []struct {
		field, name string
		uid         types.UID
	}{
		{"pod", s.PodName, s.PodUID}, {"serviceAccount", s.ServiceAccountName, s.ServiceAccountUID}, {"node", string(s.NodeName), s.NodeUID},
	} {
		for _, msg := range validation.IsDNS1123Subdomain(of.name) {
			errs = append(errs, field.Invalid(path.Child(of.field+"Name"), of.name, msg))
		}
		if of.uid == "" {
			errs = append(errs, field.Invalid(path.Child(of.field+"UID"), of.uid, "must not be empty"))
		}
		if len(of.uid) > longestUID {
			errs = append(errs, field.TooLong(path.Child(of.field+"UID"), of.uid, longestUID))
		}
	}
	if s.MaxExpirationSeconds == nil {
		return append(errs, field.Required(path.Child("maxExpirationSeconds"), "must be set"))
	}
	most := int32(longest)
	if domain, _, _ := strings.Cut(s.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
		most = longestKubernetes
	}
	if n := *s.MaxExpirationSeconds; n < shortest || n > most {
		errs = append(errs, field.Invalid(path.Child("maxExpirationSeconds"), n, fmt.Sprintf("must be in the range [%d, %d]", shortest, most)))
	}
	return append(errs, validateStub(s.StubPKCS10Request, path.Child("stubPKCS10Request"))...)
}

// validateStub checks the request for a certificate that proves who has the key.
func validateStub(der []byte, path *field.Path) field.ErrorList {
	if len(der) > largestRequest {
		return field.ErrorList{field.TooLong(path, "" /* unused */, largestRequest)}
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a valid PKCS#10 CSR")}
	}
	if err := validateKey(request.PublicKey, path); err != nil {
		return field.ErrorList{err}
	}
	if request.CheckSignature() != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "invalid signature")}
	}
	return nil
}

func validateKey(key crypto.PublicKey, path *field.Path) *field.Error {
	switch key := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, key.Curve) {
			return field.Invalid(path, "curve "+key.Curve.Params().Name, "elliptic public keys must use curve P256, P384, or P521")
		}
	case *rsa.PublicKey:
		if bits := key.Size() * 8; bits != 3072 && bits != 4096 {
			return field.Invalid(path, fmt.Sprintf("%d-bit modulus", bits), "RSA keys must have modulus size 3072 or 4096")
		}
	default:
		return field.Invalid(path, field.OmitValueType{}, "unknown public key type; supported types are Ed25519, ECDSA, and RSA")
	}
	return nil
}
