package autoscaling

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	pathvalidation "k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// Bounds of how an autoscaler may behave, in seconds.
const (
	longestScalingPeriod       = 1800
	longestStabilizationWindow = 3600
)

func validateHorizontalPodAutoscaler(obj *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	var errs field.ErrorList
	errs = append(errs, check.NonNegative(path.Child("minReplicas"), spec.MinReplicas)...)
	switch {
	case spec.MaxReplicas == 0:
		errs = append(errs, field.Required(path.Child("maxReplicas"), ""))
	case spec.MaxReplicas < 0:
		errs = append(errs, field.Invalid(path.Child("maxReplicas"), spec.MaxReplicas, "must be greater than or equal to 1"))
	}
	if spec.MinReplicas != nil && spec.MaxReplicas < *spec.MinReplicas {
		errs = append(errs, field.Invalid(path.Child("maxReplicas"), spec.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	errs = append(errs, validateCrossVersionReference(&spec.ScaleTargetRef, path.Child("scaleTargetRef"))...)
	for i := range spec.Metrics {
		errs = append(errs, validateMetric(&spec.Metrics[i], path.Child("metrics").Index(i))...)
	}
	if spec.MinReplicas != nil && *spec.MinReplicas == 0 && !slices.ContainsFunc(spec.Metrics, measuredWithoutPods) {
		errs = append(errs, field.Forbidden(path.Child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas"))
	}
	if b := spec.Behavior; b != nil {
		errs = append(errs, validateScalingRules(b.ScaleUp, path.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScalingRules(b.ScaleDown, path.Child("behavior", "scaleDown"))...)
	}
	return errs
}

// measuredWithoutPods tells a metric that says when there must be a pod again.
func measuredWithoutPods(m autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
}

// validateHorizontalPodAutoscalerUpdate holds an update to what a creation is held
// to, but for a version of the target that was stored when it was not checked yet.
func validateHorizontalPodAutoscalerUpdate(obj, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	ref, before := obj.Spec.ScaleTargetRef, old.Spec.ScaleTargetRef
	if ref.APIVersion == before.APIVersion && ref.Kind == before.Kind {
		return nil
	}
	return validateScaleTarget(&ref)
}

func validateScaleTarget(ref *autoscalingv2.CrossVersionObjectReference) field.ErrorList {
	return validateTargetVersion(ref, ref.Kind == "ReplicationController", field.NewPath("spec", "scaleTargetRef"))
}

func validateHorizontalPodAutoscalerStatus(obj, _ *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	path := field.NewPath("status")
	return append(check.NonNegative(path.Child("currentReplicas"), &obj.Status.CurrentReplicas),
		check.NonNegative(path.Child("desiredReplicas"), &obj.Status.DesiredReplicas)...)
}

func validateCrossVersionReference(ref *autoscalingv2.CrossVersionObjectReference, path *field.Path) field.ErrorList {
	errs := validateSegment(ref.Kind, "", path.Child("kind"))
	return append(errs, validateSegment(ref.Name, "", path.Child("name"))...)
}

// validateTargetVersion checks the version of what is scaled: only the core group
// has no name.
func validateTargetVersion(ref *autoscalingv2.CrossVersionObjectReference, core bool, path *field.Path) field.ErrorList {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path.Child("apiVersion"), ref.APIVersion, err.Error())}
	case gv.Group == "" && !core:
		return field.ErrorList{field.Invalid(path.Child("apiVersion"), ref.APIVersion, "apiVersion must specify API group")}
	}
	return nil
}

// validateSegment checks what becomes a part of a path; missing says what is lacking.
func validateSegment(name, missing string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, missing)}
	}
	return check.Invalid(path, name, pathvalidation.IsValidPathSegmentName(name))
}

func validateScalingRules(r *autoscalingv2.HPAScalingRules, path *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if w := r.StabilizationWindowSeconds; w != nil && *w < 0 {
		errs = append(errs, field.Invalid(path.Child("stabilizationWindowSeconds"), *w, "must be greater than or equal to zero"))
	} else if w != nil && *w > longestStabilizationWindow {
		errs = append(errs, field.Invalid(path.Child("stabilizationWindowSeconds"), *w, fmt.Sprintf("must be less than or equal to %v", longestStabilizationWindow)))
	}
	choices := []autoscalingv2.ScalingPolicySelect{autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect}
	if r.SelectPolicy != nil && !slices.Contains(choices, *r.SelectPolicy) {
		errs = append(errs, field.NotSupported(path.Child("selectPolicy"), *r.SelectPolicy, choices))
	}
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(path.Child("policies"), "must specify at least one Policy"))
	}
	for i, p := range r.Policies {
		errs = append(errs, validateScalingPolicy(p, path.Child("policies").Index(i))...)
	}
	if r.Tolerance != nil && r.Tolerance.Sign() < 0 {
		errs = append(errs, field.Invalid(path.Child("tolerance"), r.Tolerance.String(), "must be greater or equal to zero"))
	}
	return errs
}

func validateScalingPolicy(p autoscalingv2.HPAScalingPolicy, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	types := []autoscalingv2.HPAScalingPolicyType{autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy}
	if !slices.Contains(types, p.Type) {
		errs = append(errs, field.NotSupported(path.Child("type"), p.Type, types))
	}
	if p.Value <= 0 {
		errs = append(errs, field.Invalid(path.Child("value"), p.Value, "must be greater than zero"))
	}
	if p.PeriodSeconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("periodSeconds"), p.PeriodSeconds, "must be greater than zero"))
	}
	if p.PeriodSeconds > longestScalingPeriod {
		errs = append(errs, field.Invalid(path.Child("periodSeconds"), p.PeriodSeconds, fmt.Sprintf("must be less than or equal to %v", longestScalingPeriod)))
	}
	return errs
}
