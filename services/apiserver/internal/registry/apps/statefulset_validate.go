package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/storage"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

func validateStatefulSet(obj *appsv1.StatefulSet) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	var errs field.ErrorList
	switch spec.PodManagementPolicy {
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	default: // Defaulting leaves none empty.
		errs = append(errs, field.Invalid(path.Child("podManagementPolicy"), spec.PodManagementPolicy,
			fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)))
	}
	errs = append(errs, validateStatefulSetStrategy(&spec.UpdateStrategy, path.Child("updateStrategy"))...)
	if p := spec.PersistentVolumeClaimRetentionPolicy; p != nil {
		retention := path.Child("persistentVolumeClaimRetentionPolicy")
		choices := []appsv1.PersistentVolumeClaimRetentionPolicyType{appsv1.DeletePersistentVolumeClaimRetentionPolicyType, appsv1.RetainPersistentVolumeClaimRetentionPolicyType}
		errs = append(errs, check.Choice(retention.Child("whenDeleted"), p.WhenDeleted, choices...)...)
		errs = append(errs, check.Choice(retention.Child("whenScaled"), p.WhenScaled, choices...)...)
	}
	errs = append(errs, check.NonNegative(path.Child("replicas"), spec.Replicas)...)
	errs = append(errs, check.NonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)...)
	if spec.Ordinals != nil {
		errs = append(errs, check.NonNegative(path.Child("ordinals", "start"), &spec.Ordinals.Start)...)
	}
	selector, selectorErrs := workload.ValidateSelector(spec.Selector, "statefulset", path.Child("selector"))
	errs = append(errs, selectorErrs...)
	errs = append(errs, workload.MatchesTemplate(selector, &spec.Template, path.Child("template"))...)
	errs = append(errs, workload.ValidateTemplate(withClaims(spec), path.Child("template"))...)
	errs = append(errs, workload.RunsForever(&spec.Template, "StatefulSet", path.Child("template"))...)
	for i := range spec.VolumeClaimTemplates {
		errs = append(errs, storage.ValidateClaimSpec(&spec.VolumeClaimTemplates[i].Spec, path.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
	}
	return errs
}

// withClaims is the template with the volumes that each pod's claims will be.
func withClaims(spec *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	t := &spec.Template
	if len(spec.VolumeClaimTemplates) == 0 {
		return t
	}
	named := map[string]bool{}
	for _, c := range spec.VolumeClaimTemplates {
		named[c.Name] = true
	}
	out := *t
	out.Spec.Volumes = nil
	for _, v := range t.Spec.Volumes {
		if !named[v.Name] { // A claim takes the place of a volume of its name.
			out.Spec.Volumes = append(out.Spec.Volumes, v)
		}
	}
	for _, c := range spec.VolumeClaimTemplates {
		out.Spec.Volumes = append(out.Spec.Volumes, corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name},
		}})
	}
	return &out
}

func validateStatefulSetStrategy(s *appsv1.StatefulSetUpdateStrategy, path *field.Path) field.ErrorList {
	rolling := path.Child("rollingUpdate")
	switch s.Type {
	case appsv1.OnDeleteStatefulSetStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Invalid(rolling, s.RollingUpdate,
				fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType))}
		}
		return nil
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if s.RollingUpdate == nil {
			return nil
		}
		errs := check.NonNegative(rolling.Child("partition"), s.RollingUpdate.Partition)
		if most := s.RollingUpdate.MaxUnavailable; most != nil {
			p := rolling.Child("maxUnavailable")
			errs = append(errs, workload.ValidateIntOrPercent(*most, p)...)
			if workload.PercentOrInt(*most) == 0 {
				errs = append(errs, field.Invalid(p, *most, "cannot be 0"))
			}
			errs = append(errs, workload.AtMostWhole(*most, p)...)
		}
		return errs
	}
	return field.ErrorList{field.Invalid(path, *s,
		fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType))}
}

// validateStatefulSetCreate checks the name of the service, which nothing did once.
func validateStatefulSetCreate(obj *appsv1.StatefulSet) field.ErrorList {
	if obj.Spec.ServiceName == "" {
		return nil
	}
	return check.Invalid(field.NewPath("spec", "serviceName"), obj.Spec.ServiceName, validation.IsDNS1123Label(obj.Spec.ServiceName))
}

func validateStatefulSetUpdate(obj, old *appsv1.StatefulSet) field.ErrorList {
	// With what may change put back, the rest must be equal.
	rest := obj.Spec.DeepCopy()
	rest.Replicas = old.Spec.Replicas
	rest.Template = old.Spec.Template
	rest.UpdateStrategy = old.Spec.UpdateStrategy
	rest.MinReadySeconds = old.Spec.MinReadySeconds
	rest.Ordinals = old.Spec.Ordinals
	rest.RevisionHistoryLimit = old.Spec.RevisionHistoryLimit
	rest.PersistentVolumeClaimRetentionPolicy = old.Spec.PersistentVolumeClaimRetentionPolicy
	if check.Equal(*rest, old.Spec) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than "+
		"'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "+
		"and 'minReadySeconds' are forbidden")}
}

func validateStatefulSetStatus(obj, _ *appsv1.StatefulSet) field.ErrorList {
	path, s := field.NewPath("status"), &obj.Status
	errs := workload.NotNegative(path, workload.CountOf("replicas", s.Replicas), workload.CountOf("readyReplicas", s.ReadyReplicas),
		workload.CountOf("currentReplicas", s.CurrentReplicas), workload.CountOf("updatedReplicas", s.UpdatedReplicas), workload.CountOf("availableReplicas", s.AvailableReplicas))
	errs = append(errs, check.NonNegative(path.Child("observedGeneration"), &s.ObservedGeneration)...)
	errs = append(errs, check.NonNegative(path.Child("collisionCount"), s.CollisionCount)...)
	errs = append(errs, workload.NoneAbove(s.Replicas, workload.GreaterThanReplicas, path, workload.CountOf("readyReplicas", s.ReadyReplicas),
		workload.CountOf("currentReplicas", s.CurrentReplicas), workload.CountOf("updatedReplicas", s.UpdatedReplicas), workload.CountOf("availableReplicas", s.AvailableReplicas))...)
	return append(errs, workload.NoneAbove(s.ReadyReplicas, "cannot be greater than status.readyReplicas", path, workload.CountOf("availableReplicas", s.AvailableReplicas))...)
}
