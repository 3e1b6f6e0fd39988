package pod

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// updatable are what of a pod may change, as Kubernetes words it.
var updatable = []string{
	"`spec.containers[*].image`",
	"`spec.initContainers[*].image`",
	"`spec.activeDeadlineSeconds`",
	"`spec.tolerations` (only additions to existing tolerations)",
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
}

func validateUpdate(obj, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("spec")
	if len(obj.Spec.Containers) != len(old.Spec.Containers) {
		return field.ErrorList{field.Forbidden(path.Child("containers"), "pod updates may not add or remove containers")}
	}
	if len(obj.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return field.ErrorList{field.Forbidden(path.Child("initContainers"), "pod updates may not add or remove containers")}
	}
	errs := validateAddedTolerations(obj.Spec.Tolerations, old.Spec.Tolerations, path.Child("tolerations"))

	errs = append(errs, validateDeadlineUpdate(obj.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds, path.Child("activeDeadlineSeconds"))...)

	// With what may change put back, the rest must be equal.
	rest := obj.Spec.DeepCopy()
	for i := range rest.Containers {
		rest.Containers[i].Image = old.Spec.Containers[i].Image
	}
	for i := range rest.InitContainers {
		rest.InitContainers[i].Image = old.Spec.InitContainers[i].Image
	}
	rest.Tolerations = old.Spec.Tolerations
	rest.ActiveDeadlineSeconds = old.Spec.ActiveDeadlineSeconds
	if ptr.Deref(old.Spec.TerminationGracePeriodSeconds, 0) < 0 && ptr.Deref(rest.TerminationGracePeriodSeconds, 0) == 1 {
		rest.TerminationGracePeriodSeconds = old.Spec.TerminationGracePeriodSeconds
	}
	if !check.Equal(*rest, old.Spec) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("pod updates may not change fields other than %s\n%v",
			strings.Join(updatable, ","), diff.Diff(old.Spec, *rest))))
	}
	return errs
}

// validateDeadlineUpdate: a deadline may be set and shortened, nothing else.
func validateDeadlineUpdate(now, old *int64, path *field.Path) field.ErrorList {
	switch {
	case old == nil:
		return nil
	case now == nil:
		return field.ErrorList{field.Invalid(path, now, "must not update from a positive integer to nil value")}
	case *now > *old:
		return field.ErrorList{field.Invalid(path, *now, "must be less than or equal to previous value")}
	}
	return nil
}

func validateAddedTolerations(list, old []corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, before := range old {
		kept := false
		for _, t := range list {
			before.TolerationSeconds = t.TolerationSeconds
			kept = kept || check.Equal(before, t)
		}
		if !kept {
			errs = append(errs, field.Forbidden(path, "existing toleration can not be modified except its tolerationSeconds"))
		}
	}
	return errs
}

func validateStatusUpdate(obj, old *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("status")
	if obj.Spec.NodeName != old.Spec.NodeName {
		errs = append(errs, field.Forbidden(path.Child("nodeName"), "may not be changed directly"))
	}
	for i, ip := range obj.Status.PodIPs {
		errs = append(errs, validation.IsValidIP(path.Child("podIPs").Index(i), ip.IP)...)
	}
	errs = append(errs, validateStateTransition(obj.Status.ContainerStatuses, old.Status.ContainerStatuses, obj.Spec.RestartPolicy, path.Child("containerStatuses"))...)
	// An init container that failed is run again unless the pod's policy is Never.
	policy := obj.Spec.RestartPolicy
	if policy == corev1.RestartPolicyAlways {
		policy = corev1.RestartPolicyOnFailure
	}
	return append(errs, validateStateTransition(obj.Status.InitContainerStatuses, old.Status.InitContainerStatuses, policy, path.Child("initContainerStatuses"))...)
}

// validateStateTransition: what has ended for good does not come back to life.
func validateStateTransition(list, old []corev1.ContainerStatus, policy corev1.RestartPolicy, path *field.Path) field.ErrorList {
	if policy == corev1.RestartPolicyAlways {
		return nil
	}
	var errs field.ErrorList
	for _, before := range old {
		t := before.State.Terminated
		if t == nil || (t.ExitCode != 0 && policy == corev1.RestartPolicyOnFailure) {
			continue
		}
		for i, now := range list {
			if now.Name == before.Name && now.State.Terminated == nil {
				errs = append(errs, field.Forbidden(path.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
			}
		}
	}
	return errs
}
