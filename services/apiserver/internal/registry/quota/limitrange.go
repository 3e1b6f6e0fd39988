package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// LimitRange defines bounds and defaults for single pods and claims.
func LimitRange() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.LimitRangeList{}, registry.Definition[*corev1.LimitRange]{
		ShortNames: []string{"limits"}, Namespaced: true, CreateOnUpdate: true,

		Default:  defaultLimitRange,
		Validate: validateLimitRange,

		Columns: []registry.Column{{
			Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
			Value: func(obj registry.Object, _ time.Time) any {
				return obj.GetCreationTimestamp().UTC().Format(time.RFC3339)
			},
		}},
	})
}

// defaultLimitRange fills in the defaults for containers: what they may use is the
// most they may, and what they ask for what they may use, or else the least.
func defaultLimitRange(obj *corev1.LimitRange) {
	for i := range obj.Spec.Limits {
		l := &obj.Spec.Limits[i]
		for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
			resourcelist.Round(list)
		}
		if l.Type != corev1.LimitTypeContainer {
			continue
		}
		fillQuantities(&l.Default, l.Max)
		fillQuantities(&l.DefaultRequest, l.Default)
		fillQuantities(&l.DefaultRequest, l.Min)
	}
}

func fillQuantities(list *corev1.ResourceList, from corev1.ResourceList) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	for name, q := range from {
		if _, ok := (*list)[name]; !ok {
			(*list)[name] = q.DeepCopy()
		}
	}
}

func validateLimitRange(obj *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.LimitType]bool{}
	for i := range obj.Spec.Limits {
		l, p := &obj.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, validateLimitType(l.Type, p.Child("type"))...)
		if seen[l.Type] {
			errs = append(errs, field.Duplicate(p.Child("type"), l.Type))
		}
		seen[l.Type] = true
		errs = append(errs, validateLimitNames(l, p)...)
		for _, name := range limitNames(l) {
			errs = append(errs, validateLimit(l, name, p)...)
		}
	}
	return errs
}

func validateLimitType(t corev1.LimitType, path *field.Path) field.ErrorList {
	if errs := check.Invalid(path, t, validation.IsQualifiedName(string(t))); len(errs) > 0 {
		return errs
	}
	standard := []corev1.LimitType{corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim}
	if !strings.Contains(string(t), "/") && !slices.Contains(standard, t) {
		return field.ErrorList{field.Invalid(path, t, "must be a standard limit type or fully qualified")}
	}
	return nil
}

// limitPart is a field of a limit.
type limitPart struct {
	field string
	list  corev1.ResourceList
}

// limitParts are those of a limit, but for the defaults that a pod has not.
func limitParts(l *corev1.LimitRangeItem) []limitPart {
	parts := []limitPart{{"max", l.Max}, {"min", l.Min}}
	if l.Type != corev1.LimitTypePod {
		parts = append(parts, limitPart{"default", l.Default}, limitPart{"defaultRequest", l.DefaultRequest})
	}
	return append(parts, limitPart{"maxLimitRequestRatio", l.MaxLimitRequestRatio})
}

func limitNames(l *corev1.LimitRangeItem) []corev1.ResourceName {
	names := map[corev1.ResourceName]bool{}
	for _, part := range limitParts(l) {
		for name := range part.list {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func validateLimitNames(l *corev1.LimitRangeItem, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, part := range limitParts(l) {
		for _, name := range slices.Sorted(maps.Keys(part.list)) {
			p := path.Child(part.field).Key(string(name))
			if l.Type == corev1.LimitTypePod || l.Type == corev1.LimitTypeContainer {
				errs = append(errs, resourcelist.ValidateContainerName(name, p)...)
			} else {
				errs = append(errs, resourcelist.ValidateName(name, p)...)
			}
		}
	}
	if l.Type == corev1.LimitTypePod && len(l.Default) > 0 {
		errs = append(errs, field.Forbidden(path.Child("default"), "may not be specified when `type` is 'Pod'"))
	}
	if l.Type == corev1.LimitTypePod && len(l.DefaultRequest) > 0 {
		errs = append(errs, field.Forbidden(path.Child("defaultRequest"), "may not be specified when `type` is 'Pod'"))
	}
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, least := l.Min[corev1.ResourceStorage]
		_, most := l.Max[corev1.ResourceStorage]
		if !least && !most {
			errs = append(errs, field.Required(path.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	return errs
}

// bound is one of the values that a limit gives a resource.
type bound struct {
	field, text string
	value       resource.Quantity
	set         bool
}

// validateLimit checks that the values given for a resource are in order.
func validateLimit(l *corev1.LimitRangeItem, name corev1.ResourceName, path *field.Path) field.ErrorList {
	of := func(fieldName, text string, list corev1.ResourceList) bound {
		q, ok := list[name]
		if l.Type == corev1.LimitTypePod && strings.HasPrefix(fieldName, "default") {
			ok = false
		}
		return bound{fieldName, text, q, ok}
	}
	least, most := of("min", "min value", l.Min), of("max", "max value", l.Max)
	limit, request := of("default", "default value", l.Default), of("defaultRequest", "default request value", l.DefaultRequest)
	asLimit := limit
	asLimit.text = "default limit value"
	var errs field.ErrorList
	order := func(low, high, blamed bound, shown bound) {
		if low.set && high.set && low.value.Cmp(high.value) > 0 {
			errs = append(errs, field.Invalid(path.Child(blamed.field).Key(string(name)), shown.value.String(),
				fmt.Sprintf("%s %s is greater than %s %s", low.text, low.value.String(), high.text, high.value.String())))
		}
	}
	order(least, most, least, least)
	order(least, request, request, request)
	order(request, most, request, request)
	order(request, asLimit, request, request)
	order(least, limit, limit, least)
	order(limit, most, limit, most)
	errs = append(errs, validateRatio(l, name, path.Child("maxLimitRequestRatio").Key(string(name)))...)
	overcommit := resourcelist.Native(name) && !resourcelist.HugePages(name)
	if !overcommit && limit.set && request.set && limit.value.Cmp(request.value) != 0 {
		errs = append(errs, field.Invalid(path.Child("defaultRequest").Key(string(name)), request.value.String(), fmt.Sprintf(
			"default value %s must equal to defaultRequest value %s in %s", limit.value.String(), request.value.String(), name)))
	}
	return errs
}

// validateRatio: what is allowed is at least what is asked for, and the bounds allow
// the ratio.
func validateRatio(l *corev1.LimitRangeItem, name corev1.ResourceName, path *field.Path) field.ErrorList {
	ratio, ok := l.MaxLimitRequestRatio[name]
	if !ok {
		return nil
	}
	var errs field.ErrorList
	if ratio.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
		errs = append(errs, field.Invalid(path, ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	least, isLeast := l.Min[name]
	most, isMost := l.Max[name]
	if isLeast && isMost {
		if bound := most.AsApproximateFloat64() / least.AsApproximateFloat64(); ratio.AsApproximateFloat64() > bound {
			errs = append(errs, field.Invalid(path, ratio.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), bound)))
		}
	}
	return errs
}
