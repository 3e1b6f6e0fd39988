package registry

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	pathvalidation "k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of how an autoscaler may behave, in seconds.
const (
	longestScalingPeriod       = 1800
	longestStabilizationWindow = 3600
)

func validateHorizontalPodAutoscaler(obj *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	var errs field.ErrorList
	if spec.MinReplicas != nil && *spec.MinReplicas < 1 {
		errs = append(errs, field.Invalid(path.Child("minReplicas"), *spec.MinReplicas, "must be greater than or equal to 1"))
	}
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
	if b := spec.Behavior; b != nil {
		errs = append(errs, validateScalingRules(b.ScaleUp, path.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScalingRules(b.ScaleDown, path.Child("behavior", "scaleDown"))...)
	}
	return errs
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
	return append(nonNegative(path.Child("currentReplicas"), &obj.Status.CurrentReplicas),
		nonNegative(path.Child("desiredReplicas"), &obj.Status.DesiredReplicas)...)
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
	return invalid(path, name, pathvalidation.IsValidPathSegmentName(name))
}

// metricSource is one of the sources that a metric may come from.
type metricSource struct {
	typ      autoscalingv2.MetricSourceType
	field    string
	given    bool
	validate func(path *field.Path) field.ErrorList
}

func metricSources(m *autoscalingv2.MetricSpec) []metricSource {
	return []metricSource{
		{autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil, func(p *field.Path) field.ErrorList {
			errs := validateCrossVersionReference(&m.Object.DescribedObject, p.Child("describedObject"))
			errs = append(errs, validateTargetVersion(&m.Object.DescribedObject, true, p.Child("describedObject"))...)
			return append(errs, validateValueTarget(m.Object.Metric.Name, &m.Object.Target, "must set either a target value or averageValue", false, p)...)
		}},
		{autoscalingv2.ExternalMetricSourceType, "external", m.External != nil, func(p *field.Path) field.ErrorList {
			return validateValueTarget(m.External.Metric.Name, &m.External.Target, "must set either a target value for metric or a per-pod target", true, p)
		}},
		{autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil, func(p *field.Path) field.ErrorList {
			errs := validateSegment(m.Pods.Metric.Name, "must specify a metric name", p.Child("metric", "name"))
			errs = append(errs, validateMetricTarget(&m.Pods.Target, p.Child("target"))...)
			if m.Pods.Target.AverageValue == nil {
				errs = append(errs, field.Required(p.Child("target", "averageValue"), "must specify a positive target averageValue"))
			}
			return errs
		}},
		{autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil, func(p *field.Path) field.ErrorList {
			return validateResourceTarget(string(m.Resource.Name), &m.Resource.Target, p)
		}},
		{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil, func(p *field.Path) field.ErrorList {
			errs := validateResourceTarget(string(m.ContainerResource.Name), &m.ContainerResource.Target, p)
			if m.ContainerResource.Container == "" {
				return append(errs, field.Required(p.Child("container"), "must specify a container"))
			}
			return append(errs, invalid(p.Child("container"), m.ContainerResource.Container, validation.IsDNS1123Label(m.ContainerResource.Container))...)
		}},
	}
}

func validateMetric(m *autoscalingv2.MetricSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var types []autoscalingv2.MetricSourceType
	var given []string
	expected := ""
	for _, s := range metricSources(m) {
		types = append(types, s.typ)
		if s.given {
			if given = append(given, s.field); len(given) == 1 {
				errs = append(errs, s.validate(path.Child(s.field))...)
			}
		}
		if s.typ != m.Type {
			continue
		}
		if expected = s.field; !s.given {
			errs = append(errs, field.Required(path.Child(s.field), "must populate information for the given metric source"))
		}
	}
	if expected == "" {
		if m.Type == "" {
			errs = append(errs, field.Required(path.Child("type"), "must specify a metric source type"))
		}
		slices.Sort(types)
		errs = append(errs, field.NotSupported(path.Child("type"), m.Type, types))
	}
	if len(given) != 1 {
		for _, name := range given {
			if name != expected {
				errs = append(errs, field.Forbidden(path.Child(name), "must populate the given metric source only"))
			}
		}
	}
	return errs
}

// validateValueTarget checks a metric that is a sum, or one for each pod.
func validateValueTarget(name string, t *autoscalingv2.MetricTarget, missing string, oneOnly bool, path *field.Path) field.ErrorList {
	errs := validateSegment(name, "must specify a metric name", path.Child("metric", "name"))
	errs = append(errs, validateMetricTarget(t, path.Child("target"))...)
	if t.Value == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(path.Child("target", "averageValue"), missing))
	}
	if oneOnly && t.Value != nil && t.AverageValue != nil {
		errs = append(errs, field.Forbidden(path.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
	}
	return errs
}

func validateResourceTarget(name string, t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path.Child("name"), "must specify a resource name"))
	}
	errs = append(errs, validateMetricTarget(t, path.Child("target"))...)
	if t.AverageUtilization == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(path.Child("target", "averageUtilization"), "must set either a target raw value or a target utilization"))
	}
	if t.AverageUtilization != nil && t.AverageValue != nil {
		errs = append(errs, field.Forbidden(path.Child("target", "averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateMetricTarget(t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if t.Type == "" {
		errs = append(errs, field.Required(path.Child("type"), "must specify a metric target type"))
	}
	types := []autoscalingv2.MetricTargetType{autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType}
	if !slices.Contains(types, t.Type) {
		errs = append(errs, field.Invalid(path.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	positive := func(q *resource.Quantity, name string) {
		if q != nil && q.Sign() != 1 {
			errs = append(errs, field.Invalid(path.Child(name), q.String(), "must be positive"))
		}
	}
	positive(t.Value, "value")
	positive(t.AverageValue, "averageValue")
	if t.AverageUtilization != nil && *t.AverageUtilization < 1 {
		errs = append(errs, field.Invalid(path.Child("averageUtilization"), *t.AverageUtilization, "must be greater than 0"))
	}
	return errs
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
