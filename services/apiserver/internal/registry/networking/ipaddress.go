package networking

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// IPAddress is what Kubernetes keeps of cluster IPs. Here they are claims of
// their Services, so an object of this kind keeps nobody from an address.
func IPAddress() *registry.Kind {
	return registry.Define(networkingv1.SchemeGroupVersion, &networkingv1.IPAddressList{}, registry.Definition[*networkingv1.IPAddress]{
		ShortNames: []string{"ip"},

		Validate: validateIPAddress,
		ValidateUpdate: func(obj, old *networkingv1.IPAddress) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Spec.ParentRef, old.Spec.ParentRef, field.NewPath("spec", "parentRef"))
		},
		ValidateName: func(name string, _ bool) []string {
			var messages []string
			for _, err := range validation.IsValidIP(field.NewPath(""), name) {
				messages = append(messages, err.Detail)
			}
			return messages
		},

		Columns: []registry.Column{
			registry.ColumnOf("ParentRef", "string", networkingv1.IPAddressSpec{}.SwaggerDoc()["parentRef"], func(obj *networkingv1.IPAddress) any {
				ref := obj.Spec.ParentRef
				if ref == nil {
					return registry.NoneCell
				}
				parts := []string{strings.ToLower(schema.GroupResource{Group: ref.Group, Resource: ref.Resource}.String())}
				if ref.Namespace != "" {
					parts = append(parts, ref.Namespace)
				}
				return strings.Join(append(parts, ref.Name), "/")
			}),
		},
	})
}

func validateIPAddress(obj *networkingv1.IPAddress) field.ErrorList {
	path, ref := field.NewPath("spec", "parentRef"), obj.Spec.ParentRef
	if ref == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if ref.Group != "" {
		errs = append(errs, check.Invalid(path.Child("group"), ref.Group, validation.IsDNS1123Subdomain(ref.Group))...)
	}
	errs = append(errs, check.RequiredSegment(path.Child("resource"), ref.Resource)...)
	errs = append(errs, check.RequiredSegment(path.Child("name"), ref.Name)...)
	if ref.Namespace != "" {
		errs = append(errs, check.Invalid(path.Child("namespace"), ref.Namespace, content.IsPathSegmentName(ref.Namespace))...)
	}
	return errs
}
