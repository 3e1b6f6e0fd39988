package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// longestController is how many bytes the name of an ingress controller may have.
const longestController = 250

// IngressClass defines who acts on ingresses.
func IngressClass() *registry.Kind {
	return registry.Define(networkingv1.SchemeGroupVersion, &networkingv1.IngressClassList{}, registry.Definition[*networkingv1.IngressClass]{
		Generation: true,

		Default: func(obj *networkingv1.IngressClass) {
			if p := obj.Spec.Parameters; p != nil && p.Scope == nil {
				p.Scope = ptr.To(networkingv1.IngressClassParametersReferenceScopeCluster)
			}
		},
		Validate: validateIngressClass,
		ValidateUpdate: func(obj, old *networkingv1.IngressClass) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))
		},

		Columns: []registry.Column{
			registry.ColumnOf("Controller", "string", "Controller that is responsible for handling this class", func(obj *networkingv1.IngressClass) any { return obj.Spec.Controller }),
			registry.ColumnOf("Parameters", "string", "A reference to a resource with additional parameters", func(obj *networkingv1.IngressClass) any {
				p := obj.Spec.Parameters
				if p == nil {
					return registry.NoneCell
				}
				if p.APIGroup != nil {
					return p.Kind + "." + *p.APIGroup + "/" + p.Name
				}
				return p.Kind + "/" + p.Name
			}),
			registry.Age(),
		},
	})
}

func validateIngressClass(obj *networkingv1.IngressClass) field.ErrorList {
	var errs field.ErrorList
	path, name := field.NewPath("spec", "controller"), obj.Spec.Controller
	if name == "" {
		errs = append(errs, field.Required(path, ""))
	} else {
		if len(name) > longestController {
			errs = append(errs, field.TooLong(path, "" /* unused */, longestController))
		}
		errs = append(errs, validation.IsDomainPrefixedPath(path, name)...)
	}
	if obj.Spec.Parameters != nil {
		errs = append(errs, validateClassParameters(obj.Spec.Parameters, field.NewPath("spec", "parameters"))...)
	}
	return errs
}

func validateClassParameters(p *networkingv1.IngressClassParametersReference, path *field.Path) field.ErrorList {
	errs := check.APIGroup(p.APIGroup, path.Child("apiGroup"))
	errs = append(errs, check.RequiredSegment(path.Child("kind"), p.Kind)...)
	errs = append(errs, check.RequiredSegment(path.Child("name"), p.Name)...)
	namespace := path.Child("namespace")
	switch scope := ptr.Deref(p.Scope, ""); {
	case p.Scope == nil:
		errs = append(errs, field.Required(path.Child("scope"), ""))
	case scope == networkingv1.IngressClassParametersReferenceScopeCluster && p.Namespace != nil:
		errs = append(errs, field.Forbidden(namespace, "`parameters.scope` is set to 'Cluster'"))
	case scope == networkingv1.IngressClassParametersReferenceScopeCluster:
	case scope != networkingv1.IngressClassParametersReferenceScopeNamespace:
		errs = append(errs, check.Among(path.Child("scope"), scope,
			networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace)...)
	case p.Namespace == nil:
		errs = append(errs, field.Required(namespace, "`parameters.scope` is set to 'Namespace'"))
	default:
		errs = append(errs, check.Invalid(namespace, *p.Namespace, apivalidation.ValidateNamespaceName(*p.Namespace, false))...)
	}
	return errs
}
