// Package check has the checks of single values that kinds share, in
// Kubernetes' words.
package check

import (
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// Among refuses what is none of the values, the empty string too.
func Among[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	for _, v := range values {
		if value == v {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, values)}
}

// LabelSelector checks a selector, which may be nil.
func LabelSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

// APIGroup checks the group of a reference, which may be nil.
func APIGroup(group *string, path *field.Path) field.ErrorList {
	if group == nil {
		return nil
	}
	return Invalid(path, *group, validation.IsDNS1123Subdomain(*group))
}

// RequiredSegment checks a name that is a part of a URL's path.
func RequiredSegment(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return Invalid(path, name, content.IsPathSegmentName(name))
}

// Present refuses a field that was left out though it has a default.
func Present[T any](path *field.Path, value *T) field.ErrorList {
	if value == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

// Frozen refuses any change, as the kinds do that do not show the new value.
func Frozen(name string, value, old any) field.ErrorList {
	if Equal(value, old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath(name), "updates to "+name+" are forbidden.")}
}

// Equal tells whether two values mean the same.
func Equal(a, b any) bool { return apiequality.Semantic.DeepEqual(a, b) }

// OneOf checks a field that must have one of some values.
func OneOf[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	for _, v := range values {
		if value == v {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, values)}
}

// Invalid turns the messages of a check into errors of one field.
func Invalid(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range messages {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// UniqueLabel checks a name in a list of named things and notes it.
func UniqueLabel(name string, seen map[string]bool, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	errs := Invalid(path, name, validation.IsDNS1123Label(name))
	if seen[name] {
		errs = append(errs, field.Duplicate(path, name))
	}
	seen[name] = true
	return errs
}

// NoBacksteps refuses a path that leads upwards.
func NoBacksteps(p string, path *field.Path) field.ErrorList {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return field.ErrorList{field.Invalid(path, p, "must not contain '..'")}
		}
	}
	return nil
}

// NonNegative refuses a number below 0; none is fine.
func NonNegative[N int32 | int64](path *field.Path, n *N) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(ptr.Deref(n, 0)), path)
}

// Choice checks a field that has one of some values, which defaulting made sure of
// where it was empty.
func Choice[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.NotSupported(path, value, values)}
	}
	return OneOf(path, value, values...)
}
