package registry

import (
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Checks of single values that several kinds have.

// among refuses what is none of the values, the empty string too.
func among[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	for _, v := range values {
		if value == v {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, values)}
}

// validateLabelSelector checks a selector, which may be nil.
func validateLabelSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

// validateAPIGroup checks the group of a reference, which may be nil.
func validateAPIGroup(group *string, path *field.Path) field.ErrorList {
	if group == nil {
		return nil
	}
	return invalid(path, *group, validation.IsDNS1123Subdomain(*group))
}

// requiredSegment checks a name that is a part of a URL's path.
func requiredSegment(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return invalid(path, name, content.IsPathSegmentName(name))
}

// mustBeSet refuses a field that was left out though it has a default.
func mustBeSet[T any](path *field.Path, value *T) field.ErrorList {
	if value == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

// frozen refuses any change, as the kinds do that do not show the new value.
func frozen(name string, value, old any) field.ErrorList {
	if equal(value, old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath(name), "updates to "+name+" are forbidden.")}
}
