// Package review has the kinds that are answered and not stored: who somebody
// is, and what they may do.
package review

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// TokenReview defines the question whose a token is.
func TokenReview() *registry.Kind {
	return registry.Define(authenticationv1.SchemeGroupVersion, nil, registry.Definition[*authenticationv1.TokenReview]{Verbs: registry.Answered})
}

// SelfSubjectReview defines the question who is asking.
func SelfSubjectReview() *registry.Kind {
	return registry.Define(authenticationv1.SchemeGroupVersion, nil, registry.Definition[*authenticationv1.SelfSubjectReview]{Verbs: registry.Answered})
}

// SelfSubjectRulesReview defines the question what the asker may do in a namespace.
func SelfSubjectRulesReview() *registry.Kind {
	return registry.Define(authorizationv1.SchemeGroupVersion, nil, registry.Definition[*authorizationv1.SelfSubjectRulesReview]{Verbs: registry.Answered})
}

// SubjectAccessReview defines the question whether somebody may do something.
func SubjectAccessReview() *registry.Kind {
	return registry.Define(authorizationv1.SchemeGroupVersion, nil, registry.Definition[*authorizationv1.SubjectAccessReview]{
		Verbs: registry.Answered,
		Validate: func(obj *authorizationv1.SubjectAccessReview) field.ErrorList {
			return append(validateSubjectSpec(&obj.Spec), emptyMeta(obj.ObjectMeta, "must be empty")...)
		},
	})
}

// LocalSubjectAccessReview defines the same question in one namespace.
func LocalSubjectAccessReview() *registry.Kind {
	return registry.Define(authorizationv1.SchemeGroupVersion, nil, registry.Definition[*authorizationv1.LocalSubjectAccessReview]{
		Namespaced: true, Verbs: registry.Answered,
		Validate: validateLocalReview,
	})
}

// SelfSubjectAccessReview defines the question whether the asker may do something.
func SelfSubjectAccessReview() *registry.Kind {
	return registry.Define(authorizationv1.SchemeGroupVersion, nil, registry.Definition[*authorizationv1.SelfSubjectAccessReview]{
		Verbs: registry.Answered,
		Validate: func(obj *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
			errs := validateAttributes(obj.Spec.ResourceAttributes, obj.Spec.NonResourceAttributes)
			return append(errs, emptyMeta(obj.ObjectMeta, "must be empty")...)
		},
	})
}

func validateLocalReview(obj *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := validateSubjectSpec(&obj.Spec)
	meta := obj.ObjectMeta
	meta.Namespace = ""
	errs = append(errs, emptyMeta(meta, "must be empty except for namespace")...)
	spec := field.NewPath("spec")
	if a := obj.Spec.ResourceAttributes; a != nil && a.Namespace != obj.Namespace {
		errs = append(errs, field.Invalid(spec.Child("resourceAttributes", "namespace"), a.Namespace, "must match metadata.namespace"))
	}
	if a := obj.Spec.NonResourceAttributes; a != nil {
		errs = append(errs, field.Invalid(spec.Child("nonResourceAttributes"), a, "disallowed on this kind of request"))
	}
	return errs
}

func validateSubjectSpec(spec *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes)
	if spec.User == "" && len(spec.Groups) == 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "user"), spec.User, "at least one of user or group must be specified"))
	}
	return errs
}

func validateAttributes(resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) field.ErrorList {
	spec := field.NewPath("spec")
	switch {
	case resource != nil && path != nil:
		return field.ErrorList{field.Invalid(spec.Child("nonResourceAttributes"), path, "cannot be specified in combination with resourceAttributes")}
	case resource == nil && path == nil:
		return field.ErrorList{field.Invalid(spec.Child("resourceAttributes"), path, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	}
	return nil
}

// emptyMeta refuses metadata: what is not stored has no name.
func emptyMeta(meta metav1.ObjectMeta, why string) field.ErrorList {
	meta.ManagedFields = nil
	if equality.Semantic.DeepEqual(metav1.ObjectMeta{}, meta) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), meta, why)}
}
