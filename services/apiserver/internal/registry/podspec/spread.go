package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

const notPositive = "must be greater than zero"

func validateSpread(list []corev1.TopologySpreadConstraint, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range list {
		c, p := &list[i], path.Index(i)
		if c.MaxSkew <= 0 {
			errs = append(errs, field.Invalid(p.Child("maxSkew"), c.MaxSkew, notPositive))
		}
		errs = append(errs, validateTopologyKey(c.TopologyKey, p.Child("topologyKey"))...)
		errs = append(errs, check.OneOf(p.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)...)
		key := fmt.Sprintf("{%v, %v}", c.TopologyKey, c.WhenUnsatisfiable)
		if seen[key] {
			errs = append(errs, field.Duplicate(p.Child("{topologyKey, whenUnsatisfiable}"), key))
		}
		seen[key] = true
		errs = append(errs, validateMinDomains(c, p.Child("minDomains"))...)
		errs = append(errs, metav1validation.ValidateLabelSelector(c.LabelSelector, anySelector, p.Child("labelSelector"))...)
		if n := c.NodeAffinityPolicy; n != nil && *n != corev1.NodeInclusionPolicyHonor {
			errs = append(errs, field.Forbidden(p.Child("nodeAffinityPolicy"), support.NotSupported+", but for Honor"))
		}
		if n := c.NodeTaintsPolicy; n != nil && *n != corev1.NodeInclusionPolicyIgnore {
			errs = append(errs, field.Forbidden(p.Child("nodeTaintsPolicy"), support.NotSupported+", but for Ignore"))
		}
	}
	return errs
}

func validateMinDomains(c *corev1.TopologySpreadConstraint, path *field.Path) field.ErrorList {
	if c.MinDomains == nil {
		return nil
	}
	var errs field.ErrorList
	if *c.MinDomains <= 0 {
		errs = append(errs, field.Invalid(path, *c.MinDomains, notPositive))
	}
	if c.WhenUnsatisfiable != corev1.DoNotSchedule {
		errs = append(errs, field.Invalid(path, *c.MinDomains,
			fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, c.WhenUnsatisfiable)))
	}
	return errs
}
