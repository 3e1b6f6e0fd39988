// Package hpa converts HorizontalPodAutoscalers between autoscaling/v2 and /v1.
//
// Version 1 knows one metric, the use of CPUs. What else an autoscaler says is kept
// in annotations, as Kubernetes does, so that a client that reads and writes
// version 1 loses nothing:
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#api-object
package hpa

import (
	"encoding/json"
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// DefaultCPUUtilization is what is aimed at where nothing is said, in percent.
const DefaultCPUUtilization = 80

// The annotations that hold what version 1 has no field for.
const (
	metricsAnnotation        = "autoscaling.alpha.kubernetes.io/metrics"
	behaviorAnnotation       = "autoscaling.alpha.kubernetes.io/behavior"
	currentMetricsAnnotation = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsAnnotation     = "autoscaling.alpha.kubernetes.io/conditions"
)

// FromV1 returns the autoscaler in version 2. An annotation that cannot be read says
// nothing.
func FromV1(in *autoscalingv1.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	out := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas,
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	for _, m := range annotated[[]autoscalingv1.MetricSpec](in.Annotations, metricsAnnotation) {
		out.Spec.Metrics = append(out.Spec.Metrics, sourceFromV1(m))
	}
	if percent := in.Spec.TargetCPUUtilizationPercentage; percent != nil {
		out.Spec.Metrics = append(out.Spec.Metrics, CPU(*percent))
	}
	if len(out.Spec.Metrics) == 0 {
		out.Spec.Metrics = []autoscalingv2.MetricSpec{CPU(DefaultCPUUtilization)}
	}
	out.Spec.Behavior = annotated[*behavior](in.Annotations, behaviorAnnotation).toV2()
	if percent := in.Status.CurrentCPUUtilizationPercentage; percent != nil {
		out.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricStatus{
				Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: percent},
			},
		}}
	}
	if current := annotated[[]autoscalingv1.MetricStatus](in.Annotations, currentMetricsAnnotation); current != nil {
		out.Status.CurrentMetrics = nil // The annotation tells more.
		for _, m := range current {
			out.Status.CurrentMetrics = append(out.Status.CurrentMetrics, currentFromV1(m))
		}
	}
	for _, c := range annotated[[]autoscalingv1.HorizontalPodAutoscalerCondition](in.Annotations, conditionsAnnotation) {
		out.Status.Conditions = append(out.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
			Type: autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration,
		})
	}
	out.Annotations = withoutOurs(in.Annotations)
	return out
}

// ToV1 returns the autoscaler in version 1.
func ToV1(in *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv1.HorizontalPodAutoscaler {
	out := &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas,
		},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	out.Annotations = withoutOurs(in.Annotations)
	var others []autoscalingv1.MetricSpec
	for _, m := range in.Spec.Metrics {
		percent := cpuPercent(m)
		if percent != nil && out.Spec.TargetCPUUtilizationPercentage == nil {
			out.Spec.TargetCPUUtilizationPercentage = ptr.To(*percent)
		}
		if percent == nil {
			others = append(others, sourceToV1(m))
		}
	}
	annotate(out, metricsAnnotation, others)
	if b := in.Spec.Behavior; b != nil {
		annotate(out, behaviorAnnotation, []behavior{behaviorFromV2(b)})
	}
	var current []autoscalingv1.MetricStatus
	for _, m := range in.Status.CurrentMetrics {
		if r := m.Resource; m.Type == autoscalingv2.ResourceMetricSourceType && r != nil && r.Name == corev1.ResourceCPU && r.Current.AverageUtilization != nil {
			out.Status.CurrentCPUUtilizationPercentage = ptr.To(*r.Current.AverageUtilization)
		}
		current = append(current, currentToV1(m))
	}
	annotate(out, currentMetricsAnnotation, current)
	var conditions []autoscalingv1.HorizontalPodAutoscalerCondition
	for _, c := range in.Status.Conditions {
		conditions = append(conditions, autoscalingv1.HorizontalPodAutoscalerCondition{
			Type: autoscalingv1.HorizontalPodAutoscalerConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration,
		})
	}
	annotate(out, conditionsAnnotation, conditions)
	return out
}

// CPU is the metric that aims at a use of the CPUs asked for, in percent.
func CPU(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name:   corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
		},
	}
}

// cpuPercent is the one aim that version 1 has a field for.
func cpuPercent(m autoscalingv2.MetricSpec) *int32 {
	if m.Type != autoscalingv2.ResourceMetricSourceType || m.Resource == nil || m.Resource.Name != corev1.ResourceCPU {
		return nil
	}
	return m.Resource.Target.AverageUtilization
}

func withoutOurs(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	for _, name := range []string{metricsAnnotation, behaviorAnnotation, currentMetricsAnnotation, conditionsAnnotation} {
		delete(out, name)
	}
	return out
}

// annotated reads what an annotation holds.
func annotated[T any](annotations map[string]string, name string) T {
	var out, none T
	if text, ok := annotations[name]; !ok || json.Unmarshal([]byte(text), &out) != nil {
		return none
	}
	return out
}

// annotate writes a list that is not empty, or the one behavior there is.
func annotate[E any](obj *autoscalingv1.HorizontalPodAutoscaler, name string, list []E) {
	if len(list) == 0 {
		return
	}
	var value any = list
	if one, ok := any(list).([]behavior); ok {
		value = one[0]
	}
	text, err := json.Marshal(value)
	if err != nil {
		return // Never: what it holds came from JSON or protobuf.
	}
	if obj.Annotations == nil {
		obj.Annotations = map[string]string{}
	}
	obj.Annotations[name] = string(text)
}
