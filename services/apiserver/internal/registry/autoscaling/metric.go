package autoscaling

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

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
			return append(errs, check.Invalid(p.Child("container"), m.ContainerResource.Container, validation.IsDNS1123Label(m.ContainerResource.Container))...)
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
