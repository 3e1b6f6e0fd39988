package registry

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateDeployment(obj *appsv1.Deployment) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := nonNegative(path.Child("replicas"), spec.Replicas)
	errs = append(errs, validateReplicated(spec.Selector, &spec.Template, path)...)
	errs = append(errs, validateStrategy(&spec.Strategy, path.Child("strategy"))...)
	errs = append(errs, nonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)...)
	errs = append(errs, nonNegative(path.Child("revisionHistoryLimit"), spec.RevisionHistoryLimit)...)
	if d := spec.ProgressDeadlineSeconds; d != nil {
		errs = append(errs, nonNegative(path.Child("progressDeadlineSeconds"), d)...)
		if *d <= spec.MinReadySeconds {
			errs = append(errs, field.Invalid(path.Child("progressDeadlineSeconds"), *d, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	rolling := path.Child("rollingUpdate")
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(rolling, "may not be specified when strategy `type` is '"+string(s.Type)+"'")}
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(rolling, "this should be defaulted and never be nil")}
		}
		return validateRollingUpdate(s.RollingUpdate, rolling)
	}
	return field.ErrorList{field.NotSupported(path.Child("type"), s.Type, []appsv1.DeploymentStrategyType{
		appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType,
	})}
}

func validateRollingUpdate(r *appsv1.RollingUpdateDeployment, path *field.Path) field.ErrorList {
	unavailable, surge := orZero(r.MaxUnavailable), orZero(r.MaxSurge)
	errs := validateIntOrPercent(unavailable, path.Child("maxUnavailable"))
	errs = append(errs, validateIntOrPercent(surge, path.Child("maxSurge"))...)
	if percentOrInt(unavailable) == 0 && percentOrInt(surge) == 0 {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, atMostWhole(unavailable, path.Child("maxUnavailable"))...)
}

func atMostWhole(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.String && percentOrInt(v) > 100 {
		return field.ErrorList{field.Invalid(path, v, "must not be greater than 100%")}
	}
	return nil
}

func orZero(v *intstr.IntOrString) intstr.IntOrString {
	if v == nil {
		return intstr.FromInt32(0)
	}
	return *v
}

func validateIntOrPercent(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.String {
		return invalid(path, v, validation.IsValidPercent(v.StrVal))
	}
	return apivalidation.ValidateNonnegativeField(int64(v.IntValue()), path)
}

// percentOrInt is the number in front of the percent sign, or the number.
func percentOrInt(v intstr.IntOrString) int {
	if v.Type == intstr.Int {
		return int(v.IntVal)
	}
	if len(validation.IsValidPercent(v.StrVal)) > 0 {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	if err != nil {
		return 0
	}
	return n
}

func validateDeploymentUpdate(obj, old *appsv1.Deployment) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateDeploymentStatusUpdate(obj, _ *appsv1.Deployment) field.ErrorList {
	path, s := field.NewPath("status"), &obj.Status
	errs := nonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)
	parts := []count{{"updatedReplicas", s.UpdatedReplicas}, {"readyReplicas", s.ReadyReplicas}, {"availableReplicas", s.AvailableReplicas}}
	errs = append(errs, notNegative(path, count{"replicas", s.Replicas})...)
	errs = append(errs, notNegative(path, parts...)...)
	errs = append(errs, notNegative(path, count{"unavailableReplicas", s.UnavailableReplicas})...)
	errs = append(errs, nonNegative(path.Child("collisionCount"), s.CollisionCount)...)
	errs = append(errs, noneAbove(s.Replicas, greaterThanReplicas, path, parts...)...)
	return append(errs, noneAbove(s.ReadyReplicas, greaterThanReady, path, parts[2])...)
}
