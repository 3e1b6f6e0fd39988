package registry

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func daemonSetKind() *Kind {
	return define(appsv1.SchemeGroupVersion, &appsv1.DaemonSetList{}, definition[*appsv1.DaemonSet]{
		ShortNames: []string{"ds"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default:       defaultDaemonSet,
		PrepareCreate: func(obj *appsv1.DaemonSet) { setTemplateGeneration(obj, max(templateGeneration(obj), 1)) },
		PrepareUpdate: updateDaemonSet,

		Validate:             validateDaemonSet,
		ValidateUpdate:       validateDaemonSetUpdate,
		ValidateStatusUpdate: validateDaemonSetStatus,
		Warnings: func(obj *appsv1.DaemonSet) []string {
			return workloadWarnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: daemonSetColumns(),
	})
}

func defaultDaemonSet(obj *appsv1.DaemonSet) {
	defaultPodSpec(&obj.Spec.Template.Spec)
	s := &obj.Spec.UpdateStrategy
	orValue(&s.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		orDefault(&s.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		orDefault(&s.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		orDefault(&s.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	orDefault(&obj.Spec.RevisionHistoryLimit, 10)
}

// The template's generation was a field once; an annotation counts on.

func templateGeneration(obj *appsv1.DaemonSet) int64 {
	n, err := strconv.ParseInt(obj.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func setTemplateGeneration(obj *appsv1.DaemonSet, n int64) {
	if obj.Annotations == nil {
		obj.Annotations = map[string]string{}
	}
	obj.Annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
}

func updateDaemonSet(obj, old *appsv1.DaemonSet) {
	n := templateGeneration(old)
	if !equal(obj.Spec.Template, old.Spec.Template) {
		n++
	}
	setTemplateGeneration(obj, n)
}

func validateDaemonSet(obj *appsv1.DaemonSet) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := metav1validation.ValidateLabelSelector(spec.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), spec.Template.Labels, selectorMismatch))
	}
	if s := spec.Selector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path.Child("selector"), s, "empty selector is invalid for daemonset"))
	}
	errs = append(errs, validatePodTemplate(&spec.Template, path.Child("template"))...)
	errs = append(errs, runsForever(&spec.Template, "DaemonSet", path.Child("template"))...)
	errs = append(errs, nonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)...)
	errs = append(errs, validateDaemonSetStrategy(&spec.UpdateStrategy, path.Child("updateStrategy"))...)
	return append(errs, nonNegative(path.Child("revisionHistoryLimit"), spec.RevisionHistoryLimit)...)
}

func validateDaemonSetStrategy(s *appsv1.DaemonSetUpdateStrategy, path *field.Path) field.ErrorList {
	errs := choice(path.Child("type"), s.Type, appsv1.OnDeleteDaemonSetStrategyType, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.Type != appsv1.RollingUpdateDaemonSetStrategyType {
		return errs
	}
	rolling := path.Child("rollingUpdate")
	if s.RollingUpdate == nil {
		return append(errs, field.Required(rolling, ""))
	}
	unavailable, surge := orZero(s.RollingUpdate.MaxUnavailable), orZero(s.RollingUpdate.MaxSurge)
	errs = append(errs, validateIntOrPercent(unavailable, rolling.Child("maxUnavailable"))...)
	errs = append(errs, validateIntOrPercent(surge, rolling.Child("maxSurge"))...)
	errs = append(errs, atMostWhole(unavailable, rolling.Child("maxUnavailable"))...)
	errs = append(errs, atMostWhole(surge, rolling.Child("maxSurge"))...)
	switch has, hasSurge := percentOrInt(unavailable) != 0, percentOrInt(surge) != 0; {
	case has && hasSurge:
		errs = append(errs, field.Invalid(rolling.Child("maxSurge"), s.RollingUpdate.MaxSurge, "may not be set when maxUnavailable is non-zero"))
	case !has && !hasSurge:
		errs = append(errs, field.Required(rolling.Child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
	}
	return errs
}

func validateDaemonSetUpdate(obj, old *appsv1.DaemonSet) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateDaemonSetStatus(obj, _ *appsv1.DaemonSet) field.ErrorList {
	path, s := field.NewPath("status"), &obj.Status
	errs := notNegative(path, count{"currentNumberScheduled", s.CurrentNumberScheduled}, count{"numberMisscheduled", s.NumberMisscheduled},
		count{"desiredNumberScheduled", s.DesiredNumberScheduled}, count{"numberReady", s.NumberReady})
	errs = append(errs, nonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)...)
	errs = append(errs, notNegative(path, count{"updatedNumberScheduled", s.UpdatedNumberScheduled},
		count{"numberAvailable", s.NumberAvailable}, count{"numberUnavailable", s.NumberUnavailable})...)
	return append(errs, nonNegative(path.Child("collisionCount"), s.CollisionCount)...)
}

func daemonSetColumns() []Column {
	status := appsv1.DaemonSetStatus{}.SwaggerDoc()
	number := func(name, field string, of func(*appsv1.DaemonSetStatus) int32) Column {
		return column(name, "integer", status[field], func(obj *appsv1.DaemonSet) any { return int64(of(&obj.Status)) })
	}
	columns := []Column{
		number("Desired", "desiredNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.DesiredNumberScheduled }),
		number("Current", "currentNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.CurrentNumberScheduled }),
		number("Ready", "numberReady", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberReady }),
		number("Up-to-date", "updatedNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.UpdatedNumberScheduled }),
		number("Available", "numberAvailable", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberAvailable }),
		column("Node Selector", "string", corev1.PodSpec{}.SwaggerDoc()["nodeSelector"], func(obj *appsv1.DaemonSet) any {
			return labels.FormatLabels(obj.Spec.Template.Spec.NodeSelector)
		}),
		ageColumn(),
	}
	return append(columns, containerColumns(
		func(obj *appsv1.DaemonSet) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.DaemonSet) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
