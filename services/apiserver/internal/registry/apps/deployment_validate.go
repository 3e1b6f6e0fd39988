package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

func validateDeployment(obj *appsv1.Deployment) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := check.NonNegative(path.Child("replicas"), spec.Replicas)
	errs = append(errs, workload.ValidateReplicated(spec.Selector, &spec.Template, path)...)
	errs = append(errs, validateStrategy(&spec.Strategy, path.Child("strategy"))...)
	errs = append(errs, check.NonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)...)
	errs = append(errs, check.NonNegative(path.Child("revisionHistoryLimit"), spec.RevisionHistoryLimit)...)
	if d := spec.ProgressDeadlineSeconds; d != nil {
		errs = append(errs, check.NonNegative(path.Child("progressDeadlineSeconds"), d)...)
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
	unavailable, surge := workload.OrZero(r.MaxUnavailable), workload.OrZero(r.MaxSurge)
	errs := workload.ValidateIntOrPercent(unavailable, path.Child("maxUnavailable"))
	errs = append(errs, workload.ValidateIntOrPercent(surge, path.Child("maxSurge"))...)
	if workload.PercentOrInt(unavailable) == 0 && workload.PercentOrInt(surge) == 0 {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, workload.AtMostWhole(unavailable, path.Child("maxUnavailable"))...)
}

func validateDeploymentUpdate(obj, old *appsv1.Deployment) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateDeploymentStatusUpdate(obj, _ *appsv1.Deployment) field.ErrorList {
	path, s := field.NewPath("status"), &obj.Status
	errs := check.NonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)
	parts := []workload.Count{workload.CountOf("updatedReplicas", s.UpdatedReplicas), workload.CountOf("readyReplicas", s.ReadyReplicas), workload.CountOf("availableReplicas", s.AvailableReplicas)}
	errs = append(errs, workload.NotNegative(path, workload.CountOf("replicas", s.Replicas))...)
	errs = append(errs, workload.NotNegative(path, parts...)...)
	errs = append(errs, workload.NotNegative(path, workload.CountOf("unavailableReplicas", s.UnavailableReplicas))...)
	errs = append(errs, check.NonNegative(path.Child("collisionCount"), s.CollisionCount)...)
	errs = append(errs, workload.NoneAbove(s.Replicas, workload.GreaterThanReplicas, path, parts...)...)
	return append(errs, workload.NoneAbove(s.ReadyReplicas, workload.GreaterThanReady, path, parts[2])...)
}
