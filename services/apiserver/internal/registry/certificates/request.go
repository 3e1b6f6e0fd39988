// Package certificates has the kinds by which certificates are asked for and
// trusted.
package certificates

import (
	"fmt"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// How long a request is kept: once it is decided, so that who asked can fetch the
// answer, and while nobody decides.
const (
	decidedRequestKept = time.Hour
	pendingRequestKept = 24 * time.Hour
)

// CertificateSigningRequest defines requests for certificates.
func CertificateSigningRequest() *registry.Kind {
	k := registry.Define(certificatesv1.SchemeGroupVersion, &certificatesv1.CertificateSigningRequestList{}, registry.Definition[*certificatesv1.CertificateSigningRequest]{
		ShortNames: []string{"csr"}, Status: true,

		Requested:           requestedCertificate,
		PrepareUpdate:       func(obj, old *certificatesv1.CertificateSigningRequest) { obj.Spec = old.Spec },
		PrepareStatusUpdate: stampConditions,

		Validate:             validateRequest,
		ValidateUpdate:       validateRequestUpdate,
		ValidateStatusUpdate: validateRequestStatus,
		ValidateName:         func(name string, _ bool) []string { return content.IsPathSegmentName(name) },

		Fields: func(obj *certificatesv1.CertificateSigningRequest) fields.Set {
			return fields.Set{"spec.signerName": obj.Spec.SignerName}
		},
		Expires: requestExpires,
		Columns: requestColumns(),

		Subresources: []registry.Subresource{{
			Name: "approval", Verbs: []string{"get", "patch", "update"},
			PrepareUpdate: func(obj, old registry.Object) {
				prepareApproval(obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest))
			},
			ValidateUpdate: func(obj, old registry.Object) field.ErrorList {
				return keepsConditions(obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest))
			},
			Needs: func(obj, _ registry.Object) *registry.Permission {
				return signerPermission("approve", obj.(*certificatesv1.CertificateSigningRequest).Spec.SignerName,
					"user not permitted to approve requests with signerName %q")
			},
		}},
	})
	return onlySigners(k, func(obj registry.Object) string {
		return obj.(*certificatesv1.CertificateSigningRequest).Spec.SignerName
	})
}

// allPowerful are groups for which no certificate is signed on request: who is in
// them is let in everywhere.
var allPowerful = []string{pki.GroupAdmins, pki.GroupServers}

// requestedCertificate notes who asks, and refuses what no approval may make good.
func requestedCertificate(obj *certificatesv1.CertificateSigningRequest, user access.User) error {
	s := &obj.Spec
	s.Username, s.UID, s.Groups, s.Extra = user.Name, user.UID, slices.Clone(user.Groups), nil
	for key, values := range user.Extra {
		if s.Extra == nil {
			s.Extra = map[string]certificatesv1.ExtraValue{}
		}
		s.Extra[key] = slices.Clone(values)
	}
	if s.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	request, err := pki.ParseRequest(s.Request)
	if err != nil {
		return nil // Validation says what is wrong.
	}
	for _, group := range request.Subject.Organization {
		if slices.Contains(allPowerful, group) {
			return apierrors.NewForbidden(certificatesv1.Resource("certificatesigningrequests"), obj.Name,
				fmt.Errorf("use of %s signer with %s group is not allowed", s.SignerName, group))
		}
	}
	return nil
}

// stampConditions sets the times that were left out.
func stampConditions(obj, old *certificatesv1.CertificateSigningRequest) {
	now := metav1.Now()
	for i := range obj.Status.Conditions {
		c := &obj.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for _, before := range old.Status.Conditions {
			if before.Type == c.Type && before.Status == c.Status && !before.LastTransitionTime.IsZero() {
				c.LastTransitionTime = before.LastTransitionTime
				break
			}
		}
	}
}

// prepareApproval takes over the conditions and the metadata alone.
func prepareApproval(obj, old *certificatesv1.CertificateSigningRequest) {
	stampConditions(obj, old)
	conditions := obj.Status.Conditions
	obj.Spec, obj.Status = old.Spec, old.Status
	obj.Status.Conditions = conditions
}

// requestState is what the conditions of a request say.
func requestState(obj *certificatesv1.CertificateSigningRequest) (approved, denied, failed bool, since time.Time) {
	for _, c := range obj.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateApproved:
			approved = true
		case certificatesv1.CertificateDenied:
			denied = true
		case certificatesv1.CertificateFailed:
			failed = true
		}
		if c.LastUpdateTime.After(since) {
			since = c.LastUpdateTime.Time
		}
	}
	return approved, denied, failed, since
}

func requestExpires(obj *certificatesv1.CertificateSigningRequest, now time.Time) time.Time {
	_, denied, failed, since := requestState(obj)
	if !denied && !failed && len(obj.Status.Certificate) == 0 {
		return obj.CreationTimestamp.Add(pendingRequestKept)
	}
	if since.IsZero() {
		since = now
	}
	return since.Add(decidedRequestKept)
}

func requestColumns() []registry.Column {
	doc := certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc()
	return []registry.Column{
		registry.Age(),
		registry.ColumnOf("SignerName", "string", doc["signerName"], func(obj *certificatesv1.CertificateSigningRequest) any { return registry.OrNone(obj.Spec.SignerName) }),
		registry.ColumnOf("Requestor", "string", doc["request"], func(obj *certificatesv1.CertificateSigningRequest) any { return obj.Spec.Username }),
		registry.ColumnOf("RequestedDuration", "string", doc["expirationSeconds"], func(obj *certificatesv1.CertificateSigningRequest) any {
			if obj.Spec.ExpirationSeconds == nil {
				return registry.NoneCell
			}
			return duration.HumanDuration(time.Duration(*obj.Spec.ExpirationSeconds) * time.Second)
		}),
		registry.ColumnOf("Condition", "string", certificatesv1.CertificateSigningRequestStatus{}.SwaggerDoc()["conditions"], func(obj *certificatesv1.CertificateSigningRequest) any {
			return requestCondition(obj)
		}),
	}
}

func requestCondition(obj *certificatesv1.CertificateSigningRequest) string {
	approved, denied, failed, _ := requestState(obj)
	text := "Pending"
	switch {
	case denied:
		text = "Denied"
	case approved:
		text = "Approved"
	}
	if failed {
		text += ",Failed"
	}
	if len(obj.Status.Certificate) > 0 {
		text += ",Issued"
	}
	return text
}
