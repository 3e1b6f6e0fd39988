package storage

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// validateTopologies checks where volumes of a class may be: terms that differ, of
// keys that differ, with values that differ.
func validateTopologies(terms []corev1.TopologySelectorTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var seen []map[string][]string
	for i, term := range terms {
		expressions := path.Index(i).Child("matchLabelExpressions")
		values, termErrs := validateTopologyTerm(term, expressions)
		errs = append(errs, termErrs...)
		if slices.ContainsFunc(seen, func(other map[string][]string) bool { return check.Equal(values, other) }) {
			errs = append(errs, field.Duplicate(expressions, ""))
		}
		seen = append(seen, values)
	}
	return errs
}

// validateTopologyTerm returns the sorted values by their keys.
func validateTopologyTerm(term corev1.TopologySelectorTerm, path *field.Path) (map[string][]string, field.ErrorList) {
	var errs field.ErrorList
	byKey := map[string][]string{}
	for i, e := range term.MatchLabelExpressions {
		p := path.Index(i)
		var values []string
		if len(e.Values) == 0 {
			errs = append(errs, field.Required(p.Child("values"), ""))
		}
		for j, v := range e.Values {
			if slices.Contains(values, v) {
				errs = append(errs, field.Duplicate(p.Child("values").Index(j), v))
			}
			values = append(values, v)
		}
		errs = append(errs, metav1validation.ValidateLabelName(e.Key, p.Child("key"))...)
		if _, twice := byKey[e.Key]; twice {
			errs = append(errs, field.Duplicate(p.Child("key"), e.Key))
		}
		slices.Sort(values)
		byKey[e.Key] = values
	}
	return byKey, errs
}
