// Package policy has the kind of disruption budgets.
package policy

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// PodDisruptionBudget defines how many pods may be evicted at once.
func PodDisruptionBudget() *registry.Kind {
	return registry.Define(policyv1.SchemeGroupVersion, &policyv1.PodDisruptionBudgetList{}, registry.Definition[*policyv1.PodDisruptionBudget]{
		ShortNames: []string{"pdb"}, Namespaced: true, Status: true, Generation: true, Versioned: true,

		Validate: validateBudget,
		ValidateStatusUpdate: func(obj, _ *policyv1.PodDisruptionBudget) field.ErrorList {
			return validateBudgetStatus(&obj.Status, field.NewPath("status"))
		},

		Columns: []registry.Column{
			registry.ColumnOf("Min Available", "string", "The minimum number of pods that must be available.", func(obj *policyv1.PodDisruptionBudget) any {
				return orNotApplicable(obj.Spec.MinAvailable)
			}),
			registry.ColumnOf("Max Unavailable", "string", "The maximum number of pods that may be unavailable.", func(obj *policyv1.PodDisruptionBudget) any {
				return orNotApplicable(obj.Spec.MaxUnavailable)
			}),
			registry.ColumnOf("Allowed Disruptions", "integer", "Calculated number of pods that may be disrupted at this time.", func(obj *policyv1.PodDisruptionBudget) any {
				return int64(obj.Status.DisruptionsAllowed)
			}),
			registry.Age(),
		},
	})
}

func orNotApplicable(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}

func validateBudget(obj *policyv1.PodDisruptionBudget) field.ErrorList {
	var errs field.ErrorList
	path, spec := field.NewPath("spec"), &obj.Spec
	if spec.MinAvailable != nil && spec.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(path, *spec, "minAvailable and maxUnavailable cannot be both set"))
	}
	for _, bound := range []struct {
		name  string
		value *intstr.IntOrString
	}{{"minAvailable", spec.MinAvailable}, {"maxUnavailable", spec.MaxUnavailable}} {
		if bound.value != nil {
			errs = append(errs, workload.ValidateIntOrPercent(*bound.value, path.Child(bound.name))...)
			errs = append(errs, workload.AtMostWhole(*bound.value, path.Child(bound.name))...)
		}
	}
	errs = append(errs, check.LabelSelector(spec.Selector, path.Child("selector"))...)
	if p := spec.UnhealthyPodEvictionPolicy; p != nil {
		errs = append(errs, check.Among(path.Child("unhealthyPodEvictionPolicy"), *p, policyv1.AlwaysAllow, policyv1.IfHealthyBudget)...)
	}
	return errs
}

func validateBudgetStatus(s *policyv1.PodDisruptionBudgetStatus, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateConditions(s.Conditions, path.Child("conditions"))
	errs = append(errs, check.NonNegative(path.Child("disruptionsAllowed"), &s.DisruptionsAllowed)...)
	errs = append(errs, check.NonNegative(path.Child("currentHealthy"), &s.CurrentHealthy)...)
	errs = append(errs, check.NonNegative(path.Child("desiredHealthy"), &s.DesiredHealthy)...)
	return append(errs, check.NonNegative(path.Child("expectedPods"), &s.ExpectedPods)...)
}
