package registry

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// selectorError is worded for deployments wherever Kubernetes says it.
const selectorError = "empty selector is invalid for deployment"

func validateReplicaSet(obj *appsv1.ReplicaSet) field.ErrorList {
	path := field.NewPath("spec")
	errs := nonNegative(path.Child("replicas"), obj.Spec.Replicas)
	errs = append(errs, nonNegative(path.Child("minReadySeconds"), &obj.Spec.MinReadySeconds)...)
	selector, selectorErrs := validateSelector(obj.Spec.Selector, path.Child("selector"))
	errs = append(errs, selectorErrs...)
	return append(errs, validateTemplate(&obj.Spec.Template, selector, path.Child("template"))...)
}

func validateReplicaSetUpdate(obj, old *appsv1.ReplicaSet) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateReplicaSetStatusUpdate(obj, _ *appsv1.ReplicaSet) field.ErrorList {
	path, s := field.NewPath("status"), &obj.Status
	errs := nonNegative(path.Child("replicas"), &s.Replicas)
	errs = append(errs, nonNegative(path.Child("fullyLabeledReplicas"), &s.FullyLabeledReplicas)...)
	errs = append(errs, nonNegative(path.Child("readyReplicas"), &s.ReadyReplicas)...)
	errs = append(errs, nonNegative(path.Child("availableReplicas"), &s.AvailableReplicas)...)
	errs = append(errs, nonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)...)
	errs = append(errs, atMost(path.Child("fullyLabeledReplicas"), s.FullyLabeledReplicas, s.Replicas, greaterThanReplicas)...)
	errs = append(errs, atMost(path.Child("readyReplicas"), s.ReadyReplicas, s.Replicas, greaterThanReplicas)...)
	errs = append(errs, atMost(path.Child("availableReplicas"), s.AvailableReplicas, s.Replicas, greaterThanReplicas)...)
	return append(errs, atMost(path.Child("availableReplicas"), s.AvailableReplicas, s.ReadyReplicas, greaterThanReady)...)
}

const (
	greaterThanReplicas = "cannot be greater than status.replicas"
	greaterThanReady    = "cannot be greater than readyReplicas"
)

func nonNegative[N int32 | int64](path *field.Path, n *N) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(ptr.Deref(n, 0)), path)
}

func atMost(path *field.Path, n, bound int32, msg string) field.ErrorList {
	if n > bound {
		return field.ErrorList{field.Invalid(path, n, msg)}
	}
	return nil
}

// validateSelector returns nothing to match by when the selector is not valid.
func validateSelector(selector *metav1.LabelSelector, path *field.Path) (labels.Selector, field.ErrorList) {
	if selector == nil {
		return nil, field.ErrorList{field.Required(path, "")}
	}
	errs := metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path, selector, selectorError))
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, append(errs, field.Invalid(path, selector, "invalid label selector"))
	}
	return s, errs
}

// validateTemplate checks the pods that a replica set or deployment makes.
func validateTemplate(t *corev1.PodTemplateSpec, selector labels.Selector, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if selector != nil && !selector.Empty() && !selector.Matches(labels.Set(t.Labels)) {
		errs = append(errs, field.Invalid(path.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, metav1validation.ValidateLabels(t.Labels, path.Child("labels"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, path.Child("annotations"))...)
	errs = append(errs, validatePodSpec(&t.Spec, path.Child("spec"))...)
	if p := t.Spec.RestartPolicy; p != corev1.RestartPolicyAlways && p != "" {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicaSet is not Supported"))
	}
	return errs
}
