// Package autoscaling has the kind of autoscalers, in both its versions.
package autoscaling

import (
	"fmt"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/internal/hpa"
)

// HorizontalPodAutoscaler defines autoscalers as they are stored, of version 2.
func HorizontalPodAutoscaler() *registry.Kind {
	return registry.Define(autoscalingv2.SchemeGroupVersion, &autoscalingv2.HorizontalPodAutoscalerList{}, registry.Definition[*autoscalingv2.HorizontalPodAutoscaler]{
		ShortNames: []string{"hpa"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultHorizontalPodAutoscaler,

		Validate: validateHorizontalPodAutoscaler,
		ValidateCreate: func(obj *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
			return validateScaleTarget(&obj.Spec.ScaleTargetRef)
		},
		ValidateUpdate:       validateHorizontalPodAutoscalerUpdate,
		ValidateStatusUpdate: validateHorizontalPodAutoscalerStatus,

		Columns: horizontalPodAutoscalerColumns(),
	})
}

// HorizontalPodAutoscalerV1 defines them as version 1, which knows the use of CPU
// alone.
func HorizontalPodAutoscalerV1(stored *registry.Kind) *registry.Kind {
	return registry.DefineVersion(autoscalingv1.SchemeGroupVersion, &autoscalingv1.HorizontalPodAutoscalerList{}, registry.VersionOf[*autoscalingv1.HorizontalPodAutoscaler, *autoscalingv2.HorizontalPodAutoscaler]{
		Stored: stored, To: hpa.FromV1, From: hpa.ToV1,
		Default: func(obj *autoscalingv1.HorizontalPodAutoscaler) {
			if obj.Spec.MinReplicas == nil {
				obj.Spec.MinReplicas = ptr.To(int32(1))
			}
		},
	})
}

func defaultHorizontalPodAutoscaler(obj *autoscalingv2.HorizontalPodAutoscaler) {
	spec := &obj.Spec
	if spec.MinReplicas == nil {
		spec.MinReplicas = ptr.To(int32(1))
	}
	if len(spec.Metrics) == 0 {
		spec.Metrics = []autoscalingv2.MetricSpec{hpa.CPU(hpa.DefaultCPUUtilization)}
	}
	if spec.Behavior != nil {
		percent := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}
		pods := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15}
		defaultScalingRules(&spec.Behavior.ScaleUp, ptr.To(int32(0)), pods, percent)
		defaultScalingRules(&spec.Behavior.ScaleDown, nil, percent)
	}
}

// defaultScalingRules fills in rules; without a window the controller has one.
func defaultScalingRules(rules **autoscalingv2.HPAScalingRules, window *int32, policies ...autoscalingv2.HPAScalingPolicy) {
	if *rules == nil {
		*rules = &autoscalingv2.HPAScalingRules{}
	}
	r := *rules
	if r.SelectPolicy == nil {
		r.SelectPolicy = ptr.To(autoscalingv2.MaxChangePolicySelect)
	}
	if r.StabilizationWindowSeconds == nil {
		r.StabilizationWindowSeconds = window
	}
	if r.Policies == nil {
		r.Policies = policies
	}
}

func horizontalPodAutoscalerColumns() []registry.Column {
	spec, status := autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc(), autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("Reference", "string", spec["scaleTargetRef"], func(obj *autoscalingv2.HorizontalPodAutoscaler) any {
			return obj.Spec.ScaleTargetRef.Kind + "/" + obj.Spec.ScaleTargetRef.Name
		}),
		registry.ColumnOf("Targets", "string", spec["metrics"], func(obj *autoscalingv2.HorizontalPodAutoscaler) any { return metricTargets(obj) }),
		registry.ColumnOf("MinPods", "string", spec["minReplicas"], func(obj *autoscalingv2.HorizontalPodAutoscaler) any {
			if obj.Spec.MinReplicas == nil {
				return registry.UnsetCell
			}
			return fmt.Sprint(*obj.Spec.MinReplicas)
		}),
		registry.ColumnOf("MaxPods", "string", spec["maxReplicas"], func(obj *autoscalingv2.HorizontalPodAutoscaler) any { return int64(obj.Spec.MaxReplicas) }),
		registry.ColumnOf("Replicas", "string", status["currentReplicas"], func(obj *autoscalingv2.HorizontalPodAutoscaler) any {
			return int64(obj.Status.CurrentReplicas)
		}),
		registry.Age(),
	}
}

// metricTargets shows what is and what is aimed at: "cpu: 10%/80%".
func metricTargets(obj *autoscalingv2.HorizontalPodAutoscaler) string {
	const most = 2
	var list []string
	for i, m := range obj.Spec.Metrics {
		var now autoscalingv2.MetricStatus
		if i < len(obj.Status.CurrentMetrics) {
			now = obj.Status.CurrentMetrics[i]
		}
		list = append(list, metricTarget(m, now))
	}
	switch {
	case len(list) == 0:
		return registry.NoneCell
	case len(list) > most:
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

func metricTarget(m autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus) string {
	var target autoscalingv2.MetricTarget
	var current autoscalingv2.MetricValueStatus
	switch {
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		target = m.Object.Target
		current = ptr.Deref(now.Object, autoscalingv2.ObjectMetricStatus{}).Current
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		target = m.External.Target
		current = ptr.Deref(now.External, autoscalingv2.ExternalMetricStatus{}).Current
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		return quantityTarget(ptr.Deref(now.Pods, autoscalingv2.PodsMetricStatus{}).Current.AverageValue, m.Pods.Target.AverageValue)
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		return resourceTarget(string(m.Resource.Name), m.Resource.Target, ptr.Deref(now.Resource, autoscalingv2.ResourceMetricStatus{}).Current)
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		return resourceTarget(string(m.ContainerResource.Name), m.ContainerResource.Target,
			ptr.Deref(now.ContainerResource, autoscalingv2.ContainerResourceMetricStatus{}).Current)
	default:
		return "<unknown type>"
	}
	if target.AverageValue != nil {
		return quantityTarget(current.AverageValue, target.AverageValue) + " (avg)"
	}
	return quantityTarget(current.Value, target.Value)
}

func quantityTarget(current, target *resource.Quantity) string {
	show := func(q *resource.Quantity) string {
		if q == nil {
			return registry.UnknownCell
		}
		return q.String()
	}
	return show(current) + "/" + show(target)
}

// resourceTarget shows quantities, or shares of what the pods asked for.
func resourceTarget(name string, target autoscalingv2.MetricTarget, current autoscalingv2.MetricValueStatus) string {
	if target.AverageValue != nil {
		return name + ": " + quantityTarget(current.AverageValue, target.AverageValue)
	}
	percent := func(n *int32, otherwise string) string {
		if n == nil {
			return otherwise
		}
		return fmt.Sprintf("%d%%", *n)
	}
	return name + ": " + percent(current.AverageUtilization, registry.UnknownCell) + "/" + percent(target.AverageUtilization, "<auto>")
}
