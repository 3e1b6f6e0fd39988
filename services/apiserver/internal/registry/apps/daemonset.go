package apps

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

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// DaemonSet defines a pod for each node.
func DaemonSet() *registry.Kind {
	return registry.Define(appsv1.SchemeGroupVersion, &appsv1.DaemonSetList{}, registry.Definition[*appsv1.DaemonSet]{
		ShortNames: []string{"ds"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default:       defaultDaemonSet,
		PrepareCreate: func(obj *appsv1.DaemonSet) { setTemplateGeneration(obj, max(templateGeneration(obj), 1)) },
		PrepareUpdate: updateDaemonSet,

		Validate:             validateDaemonSet,
		ValidateUpdate:       validateDaemonSetUpdate,
		ValidateStatusUpdate: validateDaemonSetStatus,
		Warnings: func(obj *appsv1.DaemonSet) []string {
			return workload.Warnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: daemonSetColumns(),
	})
}

func defaultDaemonSet(obj *appsv1.DaemonSet) {
	podspec.Default(&obj.Spec.Template.Spec)
	s := &obj.Spec.UpdateStrategy
	registry.OrValue(&s.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		registry.OrDefault(&s.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		registry.OrDefault(&s.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		registry.OrDefault(&s.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	registry.OrDefault(&obj.Spec.RevisionHistoryLimit, 10)
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
	if !check.Equal(obj.Spec.Template, old.Spec.Template) {
		n++
	}
	setTemplateGeneration(obj, n)
}

func validateDaemonSet(obj *appsv1.DaemonSet) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := metav1validation.ValidateLabelSelector(spec.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), spec.Template.Labels, workload.SelectorMismatch))
	}
	if s := spec.Selector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path.Child("selector"), s, "empty selector is invalid for daemonset"))
	}
	errs = append(errs, workload.ValidateTemplate(&spec.Template, path.Child("template"))...)
	errs = append(errs, workload.RunsForever(&spec.Template, "DaemonSet", path.Child("template"))...)
	errs = append(errs, check.NonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)...)
	errs = append(errs, validateDaemonSetStrategy(&spec.UpdateStrategy, path.Child("updateStrategy"))...)
	return append(errs, check.NonNegative(path.Child("revisionHistoryLimit"), spec.RevisionHistoryLimit)...)
}

func validateDaemonSetStrategy(s *appsv1.DaemonSetUpdateStrategy, path *field.Path) field.ErrorList {
	errs := check.Choice(path.Child("type"), s.Type, appsv1.OnDeleteDaemonSetStrategyType, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.Type != appsv1.RollingUpdateDaemonSetStrategyType {
		return errs
	}
	rolling := path.Child("rollingUpdate")
	if s.RollingUpdate == nil {
		return append(errs, field.Required(rolling, ""))
	}
	unavailable, surge := workload.OrZero(s.RollingUpdate.MaxUnavailable), workload.OrZero(s.RollingUpdate.MaxSurge)
	errs = append(errs, workload.ValidateIntOrPercent(unavailable, rolling.Child("maxUnavailable"))...)
	errs = append(errs, workload.ValidateIntOrPercent(surge, rolling.Child("maxSurge"))...)
	errs = append(errs, workload.AtMostWhole(unavailable, rolling.Child("maxUnavailable"))...)
	errs = append(errs, workload.AtMostWhole(surge, rolling.Child("maxSurge"))...)
	switch has, hasSurge := workload.PercentOrInt(unavailable) != 0, workload.PercentOrInt(surge) != 0; {
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
	errs := workload.NotNegative(path, workload.CountOf("currentNumberScheduled", s.CurrentNumberScheduled), workload.CountOf("numberMisscheduled", s.NumberMisscheduled),
		workload.CountOf("desiredNumberScheduled", s.DesiredNumberScheduled), workload.CountOf("numberReady", s.NumberReady))
	errs = append(errs, check.NonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)...)
	errs = append(errs, workload.NotNegative(path, workload.CountOf("updatedNumberScheduled", s.UpdatedNumberScheduled),
		workload.CountOf("numberAvailable", s.NumberAvailable), workload.CountOf("numberUnavailable", s.NumberUnavailable))...)
	return append(errs, check.NonNegative(path.Child("collisionCount"), s.CollisionCount)...)
}

func daemonSetColumns() []registry.Column {
	status := appsv1.DaemonSetStatus{}.SwaggerDoc()
	number := func(name, field string, of func(*appsv1.DaemonSetStatus) int32) registry.Column {
		return registry.ColumnOf(name, "integer", status[field], func(obj *appsv1.DaemonSet) any { return int64(of(&obj.Status)) })
	}
	columns := []registry.Column{
		number("Desired", "desiredNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.DesiredNumberScheduled }),
		number("Current", "currentNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.CurrentNumberScheduled }),
		number("Ready", "numberReady", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberReady }),
		number("Up-to-date", "updatedNumberScheduled", func(s *appsv1.DaemonSetStatus) int32 { return s.UpdatedNumberScheduled }),
		number("Available", "numberAvailable", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberAvailable }),
		registry.ColumnOf("Node Selector", "string", corev1.PodSpec{}.SwaggerDoc()["nodeSelector"], func(obj *appsv1.DaemonSet) any {
			return labels.FormatLabels(obj.Spec.Template.Spec.NodeSelector)
		}),
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *appsv1.DaemonSet) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.DaemonSet) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
