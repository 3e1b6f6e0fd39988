// Package workload has what kinds with a pod template share.
package workload

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
)

// ValidateReplicated checks the selector and template of what makes pods that are
// all alike; Kubernetes words it for deployments wherever it says it.
func ValidateReplicated(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	selector, errs := ValidateSelector(s, "deployment", path.Child("selector"))
	template := path.Child("template")
	errs = append(errs, MatchesTemplate(selector, t, template)...)
	errs = append(errs, ValidateTemplate(t, template)...)
	return append(errs, RunsForever(t, "ReplicaSet", template)...)
}

// ValidateSelector returns nil when the selector is not valid. One that is missing
// selects nothing, so the template is refused as well.
func ValidateSelector(selector *metav1.LabelSelector, of string, path *field.Path) (labels.Selector, field.ErrorList) {
	if selector == nil {
		return labels.Nothing(), field.ErrorList{field.Required(path, "")}
	}
	errs := metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path, selector, "empty selector is invalid for "+of))
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, append(errs, field.Invalid(path, selector, "invalid label selector"))
	}
	return s, errs
}

// SelectorMismatch is said where what is made is not selected.
const SelectorMismatch = "`selector` does not match template `labels`"

// MatchesTemplate checks that what is made is selected.
func MatchesTemplate(selector labels.Selector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	if selector == nil || selector.Empty() || selector.Matches(labels.Set(t.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("metadata", "labels"), t.Labels, SelectorMismatch)}
}

// ValidateTemplate checks the pods that an object makes.
func ValidateTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(t.Labels, path.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, path.Child("annotations"))...)
	errs = append(errs, podspec.NoEphemeral(&t.Spec, path.Child("spec"), "ephemeral containers not allowed in pod template")...)
	return append(errs, podspec.Validate(&t.Spec, path.Child("spec"))...)
}

// RunsForever refuses pods that end by themselves where they are replaced for ever.
func RunsForever(t *corev1.PodTemplateSpec, kind string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := t.Spec.RestartPolicy; p != corev1.RestartPolicyAlways && p != "" {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in "+kind+" is not Supported"))
	}
	return errs
}
