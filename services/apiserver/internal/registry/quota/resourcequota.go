// Package quota has the kinds that bound what a namespace may take.
package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// ResourceQuota defines how much a namespace may have in all.
func ResourceQuota() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.ResourceQuotaList{}, registry.Definition[*corev1.ResourceQuota]{
		ShortNames: []string{"quota"}, Namespaced: true,
		Status: true,

		Default: func(obj *corev1.ResourceQuota) {
			resourcelist.Round(obj.Spec.Hard)
			resourcelist.Round(obj.Status.Hard)
			resourcelist.Round(obj.Status.Used)
		},

		Validate: func(obj *corev1.ResourceQuota) field.ErrorList {
			return validateQuotaSpec(&obj.Spec, field.NewPath("spec"))
		},
		ValidateUpdate: func(obj, old *corev1.ResourceQuota) field.ErrorList {
			if check.Equal(scopeSet(obj), scopeSet(old)) {
				return nil
			}
			return field.ErrorList{field.Invalid(field.NewPath("spec", "scopes"), obj.Spec.Scopes, "field is immutable")}
		},
		ValidateStatusUpdate: func(obj, _ *corev1.ResourceQuota) field.ErrorList {
			path := field.NewPath("status")
			return append(validateQuotaAmounts(obj.Status.Hard, path.Child("hard")), validateQuotaAmounts(obj.Status.Used, path.Child("used"))...)
		},

		Columns: []registry.Column{
			registry.ColumnOf("Request", "string", "Request represents a minimum amount of cpu/memory that a container may consume.", func(obj *corev1.ResourceQuota) any {
				return quotaUse(obj, false)
			}),
			registry.ColumnOf("Limit", "string", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.", func(obj *corev1.ResourceQuota) any {
				return quotaUse(obj, true)
			}),
			registry.Age(),
		},
	})
}

func scopeSet(obj *corev1.ResourceQuota) []corev1.ResourceQuotaScope {
	set := slices.Clone(obj.Spec.Scopes)
	slices.Sort(set)
	return slices.Compact(set)
}

// quotaUse shows what is used of what may be: of the limits, or of all else.
func quotaUse(obj *corev1.ResourceQuota, limits bool) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(obj.Status.Hard)) {
		if strings.Contains(string(name), "limits") == limits {
			used, hard := obj.Status.Used[name], obj.Status.Hard[name]
			list = append(list, fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String()))
		}
	}
	return strings.Join(list, ", ")
}

func validateQuotaSpec(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	errs := validateQuotaAmounts(spec.Hard, path.Child("hard"))
	errs = append(errs, validateScopes(spec, path.Child("scopes"))...)
	if spec.ScopeSelector != nil {
		errs = append(errs, validateScopeSelector(spec, path.Child("scopeSelector", "matchExpressions"))...)
	}
	return errs
}

func validateQuotaAmounts(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		p, q := path.Key(string(name)), list[name]
		errs = append(errs, resourcelist.ValidateName(name, p)...)
		if !strings.Contains(string(name), "/") && !resourcelist.Quotable(name) {
			errs = append(errs, field.Invalid(p, name, "must be a standard resource for quota"))
		}
		errs = append(errs, resourcelist.ValidateQuantity(q, p)...)
		if (resourcelist.Counted[name] || resourcelist.Extended(name)) && q.MilliValue()%1000 != 0 {
			errs = append(errs, field.Invalid(p, q, "must be an integer"))
		}
	}
	return errs
}

// conflictingScopes select the opposite of each other.
var conflictingScopes = [][2]corev1.ResourceQuotaScope{
	{corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort},
	{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating},
}

func validateScopes(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, scope := range spec.Scopes {
		if _, ok := scopedResources[scope]; !ok {
			errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope"))
		}
		errs = append(errs, validateScoped(spec, scope, spec.Scopes, path)...)
	}
	return append(errs, validateConflicts(spec.Scopes, spec.Scopes, path)...)
}

// validateScoped checks that what the quota bounds is something that the scope has.
func validateScoped(spec *corev1.ResourceQuotaSpec, scope corev1.ResourceQuotaScope, shown any, path *field.Path) field.ErrorList {
	resources, ok := scopedResources[scope]
	if !ok {
		return nil
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(spec.Hard)) {
		if resourcelist.Quotable(name) && !slices.Contains(resources, name) {
			errs = append(errs, field.Invalid(path, shown, "unsupported scope applied to resource"))
		}
	}
	return errs
}

func validateConflicts(scopes []corev1.ResourceQuotaScope, shown any, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, pair := range conflictingScopes {
		if slices.Contains(scopes, pair[0]) && slices.Contains(scopes, pair[1]) {
			errs = append(errs, field.Invalid(path, shown, "conflicting scopes"))
		}
	}
	return errs
}

func validateScopeSelector(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var scopes []corev1.ResourceQuotaScope
	for _, req := range spec.ScopeSelector.MatchExpressions {
		scopes = append(scopes, req.ScopeName)
		if _, ok := scopedResources[req.ScopeName]; !ok {
			errs = append(errs, field.Invalid(path.Child("scopeName"), req.ScopeName, "unsupported scope"))
		}
		errs = append(errs, validateScoped(spec, req.ScopeName, spec.ScopeSelector, path)...)
		if slices.Contains(plainScopes, req.ScopeName) && req.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(path.Child("operator"), req.Operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "+
				"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
		switch req.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(req.Values) == 0 {
				errs = append(errs, field.Required(path.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(req.Values) != 0 {
				errs = append(errs, field.Invalid(path.Child("values"), req.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(path.Child("operator"), req.Operator, "not a valid selector operator"))
		}
	}
	return append(errs, validateConflicts(scopes, spec.ScopeSelector, path)...)
}
