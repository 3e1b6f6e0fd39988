package certificates

import (
	"cmp"

	certificatesv1 "k8s.io/api/certificates/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/internal/podcertificate"
)

// PodCertificateRequest defines the requests of nodes for certificates of their pods.
func PodCertificateRequest() *registry.Kind {
	type request = *certificatesv1.PodCertificateRequest
	doc, path := certificatesv1.PodCertificateRequestSpec{}.SwaggerDoc(), field.NewPath("spec")
	return onlySigners(registry.Define(certificatesv1.SchemeGroupVersion, &certificatesv1.PodCertificateRequestList{}, registry.Definition[request]{
		Namespaced: true, Status: true, Versioned: true,
		Default: func(obj request) { podcertificate.Default(&obj.Spec) },
		Validate: func(obj request) field.ErrorList {
			return append(validateSigner(obj.Spec.SignerName, path.Child("signerName")), podcertificate.ValidateSpec(&obj.Spec, path)...)
		},
		ValidateUpdate: func(obj, old request) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Spec, old.Spec, path)
		},
		ValidateStatusUpdate: func(obj, old request) field.ErrorList { return podcertificate.ValidateStatus(obj, old) },
		Columns: []registry.Column{
			registry.ColumnOf("PodName", "string", doc["podName"], func(obj request) any { return obj.Spec.PodName }),
			registry.ColumnOf("ServiceAccountName", "string", doc["serviceAccountName"], func(obj request) any { return obj.Spec.ServiceAccountName }),
			registry.ColumnOf("NodeName", "string", doc["nodeName"], func(obj request) any { return string(obj.Spec.NodeName) }),
			registry.ColumnOf("SignerName", "string", doc["signerName"], func(obj request) any { return obj.Spec.SignerName }),
			registry.ColumnOf("State", "string", "Is the request Pending, Issued, Denied, or Failed?", func(obj request) any { return cmp.Or(podcertificate.State(&obj.Status), "Pending") }),
			registry.Wide(registry.ColumnOf("UnverifiedUserAnnotations", "string", doc["unverifiedUserAnnotations"], func(obj request) any { return labels.FormatLabels(obj.Spec.UnverifiedUserAnnotations) })),
		},
	}), func(obj registry.Object) string { return obj.(request).Spec.SignerName })
}
