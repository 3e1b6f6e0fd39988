// Package rbac has the kinds of roles and their bindings.
package rbac

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// pathSegment is what the names of roles and bindings must be: they have colons.
func pathSegment(name string, _ bool) []string { return path.IsValidPathSegmentName(name) }

// Role defines what may be done in a namespace.
func Role() *registry.Kind {
	return registry.Define(rbacv1.SchemeGroupVersion, &rbacv1.RoleList{}, registry.Definition[*rbacv1.Role]{
		CreateOnUpdate: true,
		Namespaced:     true, ValidateName: pathSegment,

		Validate: func(obj *rbacv1.Role) field.ErrorList { return validateRules(obj.Rules, true) },
		Columns:  []registry.Column{createdAtColumn()},
	})
}

// ClusterRole defines what may be done in the cluster.
func ClusterRole() *registry.Kind {
	return registry.Define(rbacv1.SchemeGroupVersion, &rbacv1.ClusterRoleList{}, registry.Definition[*rbacv1.ClusterRole]{
		CreateOnUpdate: true,
		ValidateName:   pathSegment,

		Validate: validateClusterRole,
		Columns:  []registry.Column{createdAtColumn()},
	})
}

// RoleBinding defines who has a role in a namespace.
func RoleBinding() *registry.Kind {
	return registry.Define(rbacv1.SchemeGroupVersion, &rbacv1.RoleBindingList{}, registry.Definition[*rbacv1.RoleBinding]{
		CreateOnUpdate: true,
		Namespaced:     true, ValidateName: pathSegment,

		Default: func(obj *rbacv1.RoleBinding) { defaultBinding(&obj.RoleRef, obj.Subjects) },
		Validate: func(obj *rbacv1.RoleBinding) field.ErrorList {
			return validateBinding(obj.RoleRef, obj.Subjects, true, "Role", "ClusterRole")
		},
		ValidateUpdate: func(obj, old *rbacv1.RoleBinding) field.ErrorList { return sameRole(obj.RoleRef, old.RoleRef) },
		Columns: bindingColumns(func(obj *rbacv1.RoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
			return obj.RoleRef, obj.Subjects
		}),
	})
}

// ClusterRoleBinding defines who has a role in the cluster.
func ClusterRoleBinding() *registry.Kind {
	return registry.Define(rbacv1.SchemeGroupVersion, &rbacv1.ClusterRoleBindingList{}, registry.Definition[*rbacv1.ClusterRoleBinding]{
		CreateOnUpdate: true,
		ValidateName:   pathSegment,

		Default: func(obj *rbacv1.ClusterRoleBinding) { defaultBinding(&obj.RoleRef, obj.Subjects) },
		Validate: func(obj *rbacv1.ClusterRoleBinding) field.ErrorList {
			return validateBinding(obj.RoleRef, obj.Subjects, false, "ClusterRole")
		},
		ValidateUpdate: func(obj, old *rbacv1.ClusterRoleBinding) field.ErrorList { return sameRole(obj.RoleRef, old.RoleRef) },
		Columns: bindingColumns(func(obj *rbacv1.ClusterRoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
			return obj.RoleRef, obj.Subjects
		}),
	})
}

func validateRules(rules []rbacv1.PolicyRule, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, validateRule(&rules[i], namespaced, field.NewPath("rules").Index(i))...)
	}
	return errs
}

func validateRule(rule *rbacv1.PolicyRule, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(rule.Verbs) == 0 {
		errs = append(errs, field.Required(at.Child("verbs"), "verbs must contain at least one value"))
	}
	if urls := at.Child("nonResourceURLs"); len(rule.NonResourceURLs) > 0 {
		if namespaced {
			errs = append(errs, field.Invalid(urls, rule.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
		}
		if len(rule.APIGroups) > 0 || len(rule.Resources) > 0 || len(rule.ResourceNames) > 0 {
			errs = append(errs, field.Invalid(urls, rule.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
		}
		return errs
	}
	if len(rule.APIGroups) == 0 {
		errs = append(errs, field.Required(at.Child("apiGroups"), "resource rules must supply at least one api group"))
	}
	if len(rule.Resources) == 0 {
		errs = append(errs, field.Required(at.Child("resources"), "resource rules must supply at least one resource"))
	}
	return errs
}

func validateClusterRole(obj *rbacv1.ClusterRole) field.ErrorList {
	errs := validateRules(obj.Rules, false)
	if obj.AggregationRule == nil {
		return errs
	}
	selectors := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(obj.AggregationRule.ClusterRoleSelectors) == 0 {
		return append(errs, field.Required(selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i := range obj.AggregationRule.ClusterRoleSelectors {
		selector := &obj.AggregationRule.ClusterRoleSelectors[i]
		errs = append(errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, selectors.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			errs = append(errs, field.Invalid(selectors.Index(i), selector, "invalid label selector."))
		}
	}
	return errs
}

func defaultBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	if ref.APIGroup == "" {
		ref.APIGroup = rbacv1.GroupName
	}
	for i := range subjects {
		if s := &subjects[i]; s.APIGroup == "" && (s.Kind == rbacv1.UserKind || s.Kind == rbacv1.GroupKind) {
			s.APIGroup = rbacv1.GroupName
		}
	}
}

func validateBinding(ref rbacv1.RoleRef, subjects []rbacv1.Subject, namespaced bool, kinds ...string) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("roleRef")
	if ref.APIGroup != rbacv1.GroupName {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), ref.APIGroup, []string{rbacv1.GroupName}))
	}
	if !slices.Contains(kinds, ref.Kind) {
		errs = append(errs, field.NotSupported(at.Child("kind"), ref.Kind, kinds))
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else {
		for _, text := range path.IsValidPathSegmentName(ref.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), ref.Name, text))
		}
	}
	for i := range subjects {
		errs = append(errs, validateSubject(&subjects[i], namespaced, field.NewPath("subjects").Index(i))...)
	}
	return errs
}

func validateSubject(s *rbacv1.Subject, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	group := rbacv1.GroupName
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		group = ""
		if s.Name != "" {
			for _, text := range apivalidation.ValidateServiceAccountName(s.Name, false) {
				errs = append(errs, field.Invalid(at.Child("name"), s.Name, text))
			}
		}
		if !namespaced && s.Namespace == "" {
			errs = append(errs, field.Required(at.Child("namespace"), ""))
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
	default:
		return append(errs, field.NotSupported(at.Child("kind"), s.Kind,
			[]string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
	}
	if s.APIGroup != group {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{group}))
	}
	return errs
}

func sameRole(ref, old rbacv1.RoleRef) field.ErrorList {
	if ref == old {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), ref, "cannot change roleRef")}
}
