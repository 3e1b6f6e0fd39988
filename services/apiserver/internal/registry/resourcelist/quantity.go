// Package resourcelist knows the names and the quantities of resources ("cpu:
// 100m").
package resourcelist

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks that no quantity of a list is negative.
func Validate(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		errs = append(errs, ValidateQuantity(list[name], path.Key(string(name)))...)
	}
	return errs
}

// ValidateQuantity refuses less than nothing.
func ValidateQuantity(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() < 0 {
		return field.ErrorList{field.Invalid(path, q.String(), apivalidation.IsNegativeErrorMsg)}
	}
	return nil
}

// Round rounds up to thousandths, the finest unit Kubernetes keeps.
func Round(list corev1.ResourceList) {
	for name, q := range list {
		q.RoundUp(resource.Milli)
		list[name] = q
	}
}

// ValidateBasic is what Kubernetes asks of the quantities of storage.
func ValidateBasic(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if q := list[name]; q.Value() < 0 {
			errs = append(errs, field.Invalid(path.Key(string(name)), q.Value(), "must be a valid resource quantity"))
		}
	}
	return errs
}

// Fractional tells whether rounding up to a whole number changes the quantity.
func Fractional(q resource.Quantity) bool {
	whole := q.DeepCopy()
	return !whole.RoundUp(0)
}
