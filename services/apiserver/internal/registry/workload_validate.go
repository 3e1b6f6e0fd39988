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

func validateReplicaSet(obj *appsv1.ReplicaSet) field.ErrorList {
	path := field.NewPath("spec")
	errs := nonNegative(path.Child("replicas"), obj.Spec.Replicas)
	errs = append(errs, nonNegative(path.Child("minReadySeconds"), &obj.Spec.MinReadySeconds)...)
	return append(errs, validateReplicated(obj.Spec.Selector, &obj.Spec.Template, path)...)
}

func validateReplicaSetUpdate(obj, old *appsv1.ReplicaSet) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateReplicaSetStatusUpdate(obj, _ *appsv1.ReplicaSet) field.ErrorList {
	s := &obj.Status
	return validateReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, s.ObservedGeneration)
}

// validateReplicaCounts checks the status that replica sets and replication
// controllers have.
func validateReplicaCounts(replicas, labelled, ready, available int32, generation int64) field.ErrorList {
	path := field.NewPath("status")
	parts := []count{{"fullyLabeledReplicas", labelled}, {"readyReplicas", ready}, {"availableReplicas", available}}
	errs := append(notNegative(path, count{"replicas", replicas}), notNegative(path, parts...)...)
	errs = append(errs, nonNegative(path.Child("observedGeneration"), &generation)...)
	errs = append(errs, noneAbove(replicas, greaterThanReplicas, path, parts...)...)
	return append(errs, noneAbove(ready, greaterThanReady, path, parts[2])...)
}

const (
	greaterThanReplicas = "cannot be greater than status.replicas"
	greaterThanReady    = "cannot be greater than readyReplicas"
)

// count is a number of pods, and the field of the status that holds it.
type count struct {
	field string
	n     int32
}

func notNegative(path *field.Path, counts ...count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(c.n), path.Child(c.field))...)
	}
	return errs
}

// noneAbove words what is more than all that there are.
func noneAbove(bound int32, msg string, path *field.Path, counts ...count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		if c.n > bound {
			errs = append(errs, field.Invalid(path.Child(c.field), c.n, msg))
		}
	}
	return errs
}

func nonNegative[N int32 | int64](path *field.Path, n *N) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(ptr.Deref(n, 0)), path)
}

// choice checks a field that has one of some values, which defaulting made sure of
// where it was empty.
func choice[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.NotSupported(path, value, values)}
	}
	return oneOf(path, value, values...)
}

// validateReplicated checks the selector and template of what makes pods that are
// all alike; Kubernetes words it for deployments wherever it says it.
func validateReplicated(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	selector, errs := validateSelector(s, "deployment", path.Child("selector"))
	template := path.Child("template")
	errs = append(errs, matchesTemplate(selector, t, template)...)
	errs = append(errs, validatePodTemplate(t, template)...)
	return append(errs, runsForever(t, "ReplicaSet", template)...)
}

// validateSelector returns nothing to match by when the selector is not valid.
func validateSelector(selector *metav1.LabelSelector, of string, path *field.Path) (labels.Selector, field.ErrorList) {
	if selector == nil {
		return nil, field.ErrorList{field.Required(path, "")}
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

const selectorMismatch = "`selector` does not match template `labels`"

// matchesTemplate checks that what is made is selected.
func matchesTemplate(selector labels.Selector, t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	if selector == nil || selector.Empty() || selector.Matches(labels.Set(t.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("metadata", "labels"), t.Labels, selectorMismatch)}
}

// validatePodTemplate checks the pods that an object makes.
func validatePodTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(t.Labels, path.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, path.Child("annotations"))...)
	errs = append(errs, noEphemeral(&t.Spec, path.Child("spec"), "ephemeral containers not allowed in pod template")...)
	return append(errs, validatePodSpec(&t.Spec, path.Child("spec"))...)
}

// runsForever refuses pods that end by themselves where they are replaced for ever.
func runsForever(t *corev1.PodTemplateSpec, kind string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := t.Spec.RestartPolicy; p != corev1.RestartPolicyAlways && p != "" {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in "+kind+" is not Supported"))
	}
	return errs
}
