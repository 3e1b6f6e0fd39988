package registry

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func podDisruptionBudgetKind() *Kind {
	return define(policyv1.SchemeGroupVersion, &policyv1.PodDisruptionBudgetList{}, definition[*policyv1.PodDisruptionBudget]{
		ShortNames: []string{"pdb"}, Namespaced: true, Status: true, Generation: true, Versioned: true,

		Validate: validateBudget,
		ValidateStatusUpdate: func(obj, _ *policyv1.PodDisruptionBudget) field.ErrorList {
			return validateBudgetStatus(&obj.Status, field.NewPath("status"))
		},

		Columns: []Column{
			column("Min Available", "string", "The minimum number of pods that must be available.", func(obj *policyv1.PodDisruptionBudget) any {
				return orNotApplicable(obj.Spec.MinAvailable)
			}),
			column("Max Unavailable", "string", "The maximum number of pods that may be unavailable.", func(obj *policyv1.PodDisruptionBudget) any {
				return orNotApplicable(obj.Spec.MaxUnavailable)
			}),
			column("Allowed Disruptions", "integer", "Calculated number of pods that may be disrupted at this time.", func(obj *policyv1.PodDisruptionBudget) any {
				return int64(obj.Status.DisruptionsAllowed)
			}),
			ageColumn(),
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
			errs = append(errs, validateIntOrPercent(*bound.value, path.Child(bound.name))...)
			errs = append(errs, atMostWhole(*bound.value, path.Child(bound.name))...)
		}
	}
	errs = append(errs, validateLabelSelector(spec.Selector, path.Child("selector"))...)
	if p := spec.UnhealthyPodEvictionPolicy; p != nil {
		errs = append(errs, among(path.Child("unhealthyPodEvictionPolicy"), *p, policyv1.AlwaysAllow, policyv1.IfHealthyBudget)...)
	}
	return errs
}

func validateBudgetStatus(s *policyv1.PodDisruptionBudgetStatus, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateConditions(s.Conditions, path.Child("conditions"))
	errs = append(errs, nonNegative(path.Child("disruptionsAllowed"), &s.DisruptionsAllowed)...)
	errs = append(errs, nonNegative(path.Child("currentHealthy"), &s.CurrentHealthy)...)
	errs = append(errs, nonNegative(path.Child("desiredHealthy"), &s.DesiredHealthy)...)
	return append(errs, nonNegative(path.Child("expectedPods"), &s.ExpectedPods)...)
}
