package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-helpers/apps/poddisruptionbudget"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const (
	// mostDisruptedPods is how many evictions may wait for the disruption controller.
	mostDisruptedPods = 2000
	// evictionRetry is when to ask again while a budget is looked at, in seconds.
	evictionRetry = 10
)

func evictionSubresource() registry.Subresource {
	return registry.Subresource{
		Name: "eviction", GVK: policyv1.SchemeGroupVersion.WithKind("Eviction"), Verbs: []string{"create"}, Evicts: true,
		// By which kubectl drained until 1.22.
		Older:     []schema.GroupVersion{{Group: policyv1.GroupName, Version: "v1beta1"}},
		NewObject: func() registry.Object { return &policyv1.Eviction{} },
	}
}

// Guarded tells whether a budget has a say in the eviction of a pod: what has not
// begun, has ended or is about to end is nobody's disruption.
func Guarded(pod *corev1.Pod) bool {
	return !terminal(pod) && pod.Status.Phase != corev1.PodPending && pod.DeletionTimestamp.IsZero()
}

// Disrupt takes the eviction of a pod from the budget that guards it, or says why
// that cannot be. It returns false where the budget stays as it is: the pod is not
// ready, and so counts for nothing.
func Disrupt(b *policyv1.PodDisruptionBudget, pod *corev1.Pod, now time.Time) (bool, error) {
	s := &b.Status
	if !ready(pod) {
		always := b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
		if always || s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0 {
			return false, nil
		}
	}
	forbidden := func(why string) error {
		return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), b.Name, fmt.Errorf("%s", why))
	}
	switch {
	case s.ObservedGeneration < b.Generation:
		return false, overBudget(evictionRetry, fmt.Sprintf("The disruption budget %s is still being processed by the server.", b.Name))
	case s.DisruptionsAllowed < 0:
		return false, forbidden("pdb disruptions allowed is negative")
	case len(s.DisruptedPods) > mostDisruptedPods:
		return false, forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
	case s.DisruptionsAllowed == 0:
		return false, overBudget(0, fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, s.DesiredHealthy, s.CurrentHealthy))
	}
	if s.DisruptionsAllowed--; s.DisruptionsAllowed == 0 {
		poddisruptionbudget.UpdateDisruptionAllowedCondition(b)
	}
	if s.DisruptedPods == nil {
		s.DisruptedPods = map[string]metav1.Time{}
	}
	s.DisruptedPods[pod.Name] = metav1.NewTime(now.UTC().Truncate(time.Second))
	return true, nil
}

// overBudget is Kubernetes' answer to an eviction that has to wait; kubectl drain
// tries again when it sees the code.
func overBudget(retryAfter int, cause string) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retryAfter)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: cause})
	return err
}

// MarkEvicted notes in a pod why it ends.
func MarkEvicted(pod *corev1.Pod, now time.Time) {
	setCondition(pod, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
	}, now)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
