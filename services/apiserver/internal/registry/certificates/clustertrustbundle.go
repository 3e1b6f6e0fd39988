package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// ClusterTrustBundle defines sets of certificates that pods are to trust.
func ClusterTrustBundle() *registry.Kind {
	k := registry.Define(certificatesv1.SchemeGroupVersion, &certificatesv1.ClusterTrustBundleList{}, registry.Definition[*certificatesv1.ClusterTrustBundle]{
		Validate: validateTrustBundle,
		ValidateUpdate: func(obj, old *certificatesv1.ClusterTrustBundle) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Spec.SignerName, old.Spec.SignerName, field.NewPath("spec", "signerName"))
		},
		// What a name has to be depends on the signer: validateTrustBundle checks it.
		ValidateName: func(name string, _ bool) []string { return content.IsPathSegmentName(name) },

		Fields: func(obj *certificatesv1.ClusterTrustBundle) fields.Set {
			return fields.Set{"spec.signerName": obj.Spec.SignerName}
		},
		Columns: []registry.Column{
			registry.ColumnOf("SignerName", "string", certificatesv1.ClusterTrustBundleSpec{}.SwaggerDoc()["signerName"], func(obj *certificatesv1.ClusterTrustBundle) any {
				return registry.OrNone(obj.Spec.SignerName)
			}),
		},
	})
	k.Needs = func(obj, _ registry.Object) *registry.Permission {
		if signer := obj.(*certificatesv1.ClusterTrustBundle).Spec.SignerName; signer != "" {
			return signerPermission("attest", signer, "user not permitted to attest for signerName %q")
		}
		return nil
	}
	return k
}

func validateTrustBundle(obj *certificatesv1.ClusterTrustBundle) field.ErrorList {
	path := field.NewPath("spec")
	errs := check.Invalid(field.NewPath("metadata", "name"), obj.Name, trustBundleName(obj.Name, obj.Spec.SignerName))
	if obj.Spec.SignerName != "" {
		errs = append(errs, validateSigner(obj.Spec.SignerName, path.Child("signerName"))...)
	}
	for _, wrong := range wrongAnchors([]byte(obj.Spec.TrustBundle)) {
		errs = append(errs, field.Invalid(path.Child("trustBundle"), "<value omitted>", wrong))
	}
	return errs
}

// trustBundleName says what is wrong with a name: a signer's bundles are named after
// it, and no others.
func trustBundleName(name, signer string) []string {
	if signer == "" {
		if strings.Contains(name, ":") {
			return []string{`ClusterTrustBundle without signer name must not have ":" in its name`}
		}
		return apivalidation.NameIsDNSSubdomain(name, false)
	}
	prefix := strings.ReplaceAll(signer, "/", ":") + ":"
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return []string{fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix)}
	}
	return apivalidation.NameIsDNSSubdomain(rest, false)
}

// wrongAnchors says what is wrong with a list of authorities in PEM.
func wrongAnchors(data []byte) []string {
	var wrong []string
	var blocks [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if why := wrongAnchor(block); why != "" {
			wrong = append(wrong, fmt.Sprintf("entry %d %s", len(blocks), why))
		}
		blocks = append(blocks, block.Bytes)
	}
	if len(wrong) > 0 {
		return wrong
	}
	if len(blocks) == 0 {
		return []string{"at least one trust anchor must be provided"}
	}
	for i, b := range blocks {
		same := []int{i}
		for j := i + 1; j < len(blocks); j++ {
			if bytes.Equal(b, blocks[j]) {
				same = append(same, j)
			}
		}
		told := slices.ContainsFunc(blocks[:i], func(before []byte) bool { return bytes.Equal(b, before) })
		if len(same) > 1 && !told {
			wrong = append(wrong, fmt.Sprintf("duplicate trust anchor (indices %v)", same))
		}
	}
	return wrong
}

func wrongAnchor(block *pem.Block) string {
	if block.Type != "CERTIFICATE" {
		return "has bad block type: " + block.Type
	}
	if len(block.Headers) > 0 {
		return "has PEM block headers"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "does not parse as X.509"
	case !cert.IsCA:
		return "does not have the CA bit set"
	case !cert.BasicConstraintsValid:
		return "has invalid basic constraints"
	}
	return ""
}
