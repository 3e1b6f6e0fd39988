package podcertificate

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// skew is how far the certificate's beginning may be from now, leastLife how long
	// it has to live, and margin the least time from its beginning to its renewal, and
	// from there to its end.
	skew      = 5 * time.Minute
	leastLife = time.Hour
	margin    = 10 * time.Minute
)

// final are the conditions that end a request. It has one of them at most.
var final = []string{
	certificatesv1.PodCertificateRequestConditionTypeIssued,
	certificatesv1.PodCertificateRequestConditionTypeDenied,
	certificatesv1.PodCertificateRequestConditionTypeFailed,
}

// State is the final condition of a request; "" while it has none.
func State(s *certificatesv1.PodCertificateRequestStatus) string {
	for _, c := range s.Conditions {
		for _, t := range final {
			if c.Type == t && c.Status == metav1.ConditionTrue {
				return t
			}
		}
	}
	return ""
}

// ValidateStatus checks a signer's answer to a request. A certificate begins about now.
func ValidateStatus(obj, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	path, status := field.NewPath("status"), &obj.Status
	if errs := validateConditions(status.Conditions, path.Child("conditions")); len(errs) > 0 {
		return errs
	}
	switch state := State(status); {
	case State(&old.Status) != "":
		if !equality.Semantic.DeepEqual(obj.Status, old.Status) {
			return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "immutable after PodCertificateRequest is issued, denied, or failed")}
		}
	case state == certificatesv1.PodCertificateRequestConditionTypeIssued:
		return validateIssued(obj, path, time.Now())
	case state != "":
		if !equality.Semantic.DeepEqual(obj.Status, certificatesv1.PodCertificateRequestStatus{Conditions: status.Conditions}) {
			return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "non-condition status fields must be empty when denying or failing the PodCertificateRequest")}
		}
	case !equality.Semantic.DeepEqual(obj.Status, old.Status):
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)}
	}
	return nil
}

func validateConditions(conditions []metav1.Condition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	known := map[string]bool{}
	for _, t := range final {
		known[t] = true
	}
	count := 0
	for i, c := range conditions {
		at := path.Index(i)
		if !known[c.Type] {
			errs = append(errs, field.NotSupported(at.Child("type"), c.Type, final))
			continue
		}
		if count++; count > 1 {
			errs = append(errs, field.Invalid(at.Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
		}
		if c.Status != metav1.ConditionTrue {
			errs = append(errs, field.NotSupported(at.Child("status"), c.Status, []metav1.ConditionStatus{metav1.ConditionTrue}))
		}
	}
	return append(errs, metav1validation.ValidateConditions(conditions, path)...)
}

func validateIssued(obj *certificatesv1.PodCertificateRequest, path *field.Path, now time.Time) field.ErrorList {
	chain, status := path.Child("certificateChain"), &obj.Status
	if len(status.CertificateChain) > largestChain {
		return field.ErrorList{field.TooLong(chain, "" /* unused */, largestChain)}
	}
	leaf, wrong := parseChain([]byte(status.CertificateChain))
	if wrong == "" {
		wrong = otherKey(leaf, obj.Spec.StubPKCS10Request)
	}
	if wrong != "" {
		return field.ErrorList{field.Invalid(chain, field.OmitValueType{}, wrong)}
	}
	var errs field.ErrorList
	for _, of := range []struct {
		name string
		at   *metav1.Time
		must string
	}{
		{"notBefore", status.NotBefore, "must be present and consistent with the issued certificate"},
		{"notAfter", status.NotAfter, "must be present and consistent with the issued certificate"},
		{"beginRefreshAt", status.BeginRefreshAt, "must be present and in the range [notbefore+10min, notafter-10min]"},
	} {
		if of.at == nil {
			errs = append(errs, field.Required(path.Child(of.name), of.must))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	for _, rule := range []struct {
		holds bool
		name  string
		value any
		must  string
	}{
		{status.NotBefore.Time.Equal(leaf.NotBefore), "notBefore", status.NotBefore, "must be set to the NotBefore time encoded in the leaf certificate"},
		{now.Sub(leaf.NotBefore).Abs() <= skew, "notBefore", status.NotBefore, "must be set to within 5 minutes of kube-apiserver's current time"},
		{status.NotAfter.Time.Equal(leaf.NotAfter), "notAfter", status.NotAfter, "must be set to the NotAfter time encoded in the leaf certificate"},
		{life >= leastLife, "certificateChain", life.String(), "leaf certificate lifetime must be >= 1 hour"},
		{life <= time.Duration(*obj.Spec.MaxExpirationSeconds)*time.Second, "certificateChain", life.String(),
			fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", *obj.Spec.MaxExpirationSeconds)},
		{!status.BeginRefreshAt.Time.Before(leaf.NotBefore.Add(margin)), "beginRefreshAt", status.BeginRefreshAt, "must be at least 10 minutes after status.notBefore"},
		{!status.BeginRefreshAt.Time.After(leaf.NotAfter.Add(-margin)), "beginRefreshAt", status.BeginRefreshAt, "must be at least 10 minutes before status.notAfter"},
	} {
		if !rule.holds {
			return field.ErrorList{field.Invalid(path.Child(rule.name), rule.value, rule.must)}
		}
	}
	return nil
}

// parseChain returns the first certificate, or what is wrong with one of them.
func parseChain(rest []byte) (leaf *x509.Certificate, wrong string) {
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil && leaf == nil:
			return nil, "leaf certificate does not parse as valid X.509"
		case err != nil:
			return nil, "intermediate certificate does not parse as valid X.509"
		case leaf == nil:
			leaf = certificate
		}
	}
	if leaf == nil {
		return nil, "issued certificate chain must contain at least one certificate"
	}
	return leaf, ""
}

// otherKey says that a certificate is not of the key that was asked for.
func otherKey(leaf *x509.Certificate, der []byte) string {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return "leaf certificate was not issued to the requested public key"
	}
	key, ok := request.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !key.Equal(leaf.PublicKey) {
		return "leaf certificate was not issued to the requested public key"
	}
	return ""
}
