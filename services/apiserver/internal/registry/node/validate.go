package node

import (
	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

var nodeSpecFields = support.Fields(
	"podCIDR", "podCIDRs", "providerID", "unschedulable",
	"taints.key", "taints.value", "taints.effect", "taints.timeAdded",
)

func validateNode(obj *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	errs := support.Check(obj.Spec, nodeSpecFields, spec)
	errs = append(errs, validateTaints(obj.Spec.Taints, spec.Child("taints"))...)
	for i, cidr := range obj.Spec.PodCIDRs {
		errs = append(errs, validation.IsValidCIDR(spec.Child("podCIDRs").Index(i), cidr)...)
	}
	if len(obj.Spec.PodCIDRs) > 0 && obj.Spec.PodCIDR != obj.Spec.PodCIDRs[0] {
		errs = append(errs, field.Invalid(spec.Child("podCIDR"), obj.Spec.PodCIDR, "must be the first of `podCIDRs`"))
	}
	return append(errs, validateNodeResources(obj)...)
}

func validateNodeResources(obj *corev1.Node) field.ErrorList {
	errs := resourcelist.Validate(obj.Status.Capacity, field.NewPath("status", "capacity"))
	return append(errs, resourcelist.Validate(obj.Status.Allocatable, field.NewPath("status", "allocatable"))...)
}

func validateTaints(taints []corev1.Taint, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	type effectKey struct {
		effect corev1.TaintEffect
		key    string
	}
	seen := map[effectKey]bool{}
	for i, t := range taints {
		p := path.Index(i)
		errs = append(errs, metav1validation.ValidateLabelName(t.Key, p.Child("key"))...)
		for _, msg := range validation.IsValidLabelValue(t.Value) {
			errs = append(errs, field.Invalid(p.Child("value"), t.Value, msg))
		}
		errs = append(errs, podspec.ValidateTaintEffect(t.Effect, false, p.Child("effect"))...)
		k := effectKey{t.Effect, t.Key}
		if seen[k] {
			dup := field.Duplicate(p, t)
			dup.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, dup)
		}
		seen[k] = true
	}
	return errs
}

func validateNodeUpdate(obj, old *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if len(old.Spec.PodCIDRs) > 0 && !check.Equal(obj.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"))
	}
	if old.Spec.ProviderID != "" && obj.Spec.ProviderID != old.Spec.ProviderID {
		errs = append(errs, field.Forbidden(spec.Child("providerID"), "node updates may not change providerID except from \"\" to valid"))
	}
	return errs
}

func validateNodeStatusUpdate(obj, _ *corev1.Node) field.ErrorList {
	errs := validateNodeResources(obj)
	seen := map[corev1.NodeAddress]bool{}
	for i, a := range obj.Status.Addresses {
		if seen[a] {
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), a))
		}
		seen[a] = true
	}
	return errs
}
