package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// shortestCertificate is the shortest life of a certificate that may be asked for,
// in seconds.
const shortestCertificate = 600

// keyUsages are sorted, as they are told.
var keyUsages = []certificatesv1.KeyUsage{
	certificatesv1.UsageAny, certificatesv1.UsageCertSign, certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning,
	certificatesv1.UsageContentCommitment, certificatesv1.UsageCRLSign, certificatesv1.UsageDataEncipherment,
	certificatesv1.UsageDecipherOnly, certificatesv1.UsageDigitalSignature, certificatesv1.UsageEmailProtection,
	certificatesv1.UsageEncipherOnly, certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel,
	certificatesv1.UsageIPsecUser, certificatesv1.UsageKeyAgreement, certificatesv1.UsageKeyEncipherment,
	certificatesv1.UsageMicrosoftSGC, certificatesv1.UsageNetscapeSGC, certificatesv1.UsageOCSPSigning,
	certificatesv1.UsageSMIME, certificatesv1.UsageServerAuth, certificatesv1.UsageSigning, certificatesv1.UsageTimestamping,
}

func validateRequest(obj *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var errs field.ErrorList
	path, spec := field.NewPath("spec"), &obj.Spec
	if err := pki.CheckRequest(spec.Request); err != nil {
		errs = append(errs, field.Invalid(path.Child("request"), spec.Request, err.Error()))
	}
	usages := path.Child("usages")
	if len(spec.Usages) == 0 {
		errs = append(errs, field.Required(usages, ""))
	}
	for i, u := range spec.Usages {
		errs = append(errs, check.Among(usages.Index(i), u, keyUsages...)...)
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, u := range spec.Usages {
		if seen[u] {
			errs = append(errs, field.Duplicate(usages.Index(i), u))
		}
		seen[u] = true
	}
	signer := path.Child("signerName")
	if spec.SignerName == "kubernetes.io/legacy-unknown" {
		errs = append(errs, field.Invalid(signer, spec.SignerName, "the legacy signerName is not allowed via this API version"))
	} else {
		errs = append(errs, validateSigner(spec.SignerName, signer)...)
	}
	if n := spec.ExpirationSeconds; n != nil && *n < shortestCertificate {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *n, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return append(errs, validateRequestConditions(obj.Status.Conditions, field.NewPath("status", "conditions"))...)
}

// decisions are the conditions that are there or not, and never false.
var decisions = []certificatesv1.RequestConditionType{
	certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed,
}

func validateRequestConditions(list []certificatesv1.CertificateSigningRequestCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range list {
		p := path.Index(i)
		if c.Type == "" {
			errs = append(errs, field.Required(p.Child("type"), ""))
		}
		statuses := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
		for _, d := range decisions {
			if c.Type == d {
				statuses = []corev1.ConditionStatus{corev1.ConditionTrue}
			}
		}
		errs = append(errs, check.OneOf(p.Child("status"), c.Status, statuses...)...)
		if c.Type == certificatesv1.CertificateApproved && seen[certificatesv1.CertificateDenied] ||
			c.Type == certificatesv1.CertificateDenied && seen[certificatesv1.CertificateApproved] {
			errs = append(errs, field.Invalid(p.Child("type"), c.Type, "Approved and Denied conditions are mutually exclusive"))
		}
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(p.Child("type"), c.Type))
		}
		seen[c.Type] = true
	}
	return errs
}

// keepsConditions refuses to take a decision back.
func keepsConditions(obj, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var errs field.ErrorList
	for _, d := range decisions {
		if len(conditionsOf(obj, d)) < len(conditionsOf(old, d)) {
			errs = append(errs, field.Forbidden(field.NewPath("status", "conditions"), fmt.Sprintf("updates may not remove a condition of type %q", d)))
		}
	}
	return errs
}

func conditionsOf(obj *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	var found []certificatesv1.CertificateSigningRequestCondition
	for _, c := range obj.Status.Conditions {
		if c.Type == t {
			found = append(found, c)
		}
	}
	return found
}

func validateRequestUpdate(obj, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return keepsConditions(obj, old)
}

func validateRequestStatus(obj, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	errs := append(validateRequest(obj), validateIssued(obj, old)...)
	errs = append(errs, keepsConditions(obj, old)...)
	path := field.NewPath("status", "conditions")
	for _, d := range decisions[:2] {
		before, now := conditionsOf(old, d), conditionsOf(obj, d)
		switch {
		case len(now) < len(before):
		case len(now) > len(before):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("updates may not add a condition of type %q", d)))
		case !check.Equal(before, now):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("updates may not modify a condition of type %q\n%v", d, diff.Diff(before, now))))
		}
	}
	return errs
}

// validateIssued checks a certificate, which is set once.
func validateIssued(obj, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	path, issued := field.NewPath("status", "certificate"), obj.Status.Certificate
	if bytes.Equal(issued, old.Status.Certificate) {
		return nil
	}
	var errs field.ErrorList
	if err := checkCertificates(issued); err != nil {
		errs = append(errs, field.Invalid(path, "<certificate data>", err.Error()))
	}
	if len(old.Status.Certificate) > 0 {
		errs = append(errs, field.Forbidden(path, "updates may not modify existing certificate content"))
	}
	return errs
}

func checkCertificates(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	found := false
	for {
		block, rest := pem.Decode(data)
		switch {
		case block == nil && !found:
			return errors.New("must contain at least one CERTIFICATE PEM block")
		case block == nil:
			return nil
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		case len(block.Headers) > 0:
			return errors.New("no PEM block headers are permitted")
		}
		certs, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return err
		}
		if len(certs) == 0 {
			return errors.New("found CERTIFICATE PEM block containing 0 certificates")
		}
		found, data = true, rest
	}
}
