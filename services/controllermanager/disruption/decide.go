// Package disruption tells for each PodDisruptionBudget how many of its pods may be
// evicted. Decide is pure; the Controller acts.
package disruption

import (
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/component-helpers/apps/poddisruptionbudget"

	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// deletionTimeout is how long a pod that was to be evicted is taken for gone. A pod
// that is still there then was not evicted after all.
const deletionTimeout = 2 * time.Minute

// Scale tells how many pods the controller of a pod is to have, and which one it is.
// An error says why that is not known.
type Scale func(pod *corev1.Pod, owner *metav1.OwnerReference) (types.UID, int32, error)

// Plan is what becomes of a budget.
type Plan struct {
	Status policyv1.PodDisruptionBudgetStatus
	// RequeueAfter is when an eviction that was announced has to have happened; 0 is
	// that none is awaited.
	RequeueAfter time.Duration
	// Unmanaged are pods that no controller has, in a budget that counts by those.
	Unmanaged []string
	// Undeleted are pods that were to be evicted and are still there.
	Undeleted []*corev1.Pod
}

// Decide counts the pods of a budget.
func Decide(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, scale Scale, now time.Time) (Plan, error) {
	var plan Plan
	expected, desired, unmanaged, err := expect(b, pods, scale)
	if err != nil {
		return Plan{}, err
	}
	plan.Unmanaged = unmanaged
	disrupted := plan.awaited(b, pods, now)
	healthy := int32(0)
	for _, pod := range pods {
		if _, going := disrupted[pod.Name]; !going && pod.DeletionTimestamp == nil && podstate.Ready(pod) {
			healthy++
		}
	}
	// With no pod expected none may go: the first ones must not be evicted before
	// they were counted.
	allowed := max(healthy-desired, 0)
	if expected <= 0 {
		allowed = 0
	}
	counted := b.DeepCopy()
	counted.Status = policyv1.PodDisruptionBudgetStatus{
		CurrentHealthy: healthy, DesiredHealthy: desired, ExpectedPods: expected, DisruptionsAllowed: allowed,
		DisruptedPods: disrupted, ObservedGeneration: b.Generation, Conditions: counted.Status.Conditions,
	}
	poddisruptionbudget.UpdateDisruptionAllowedCondition(counted)
	plan.Status = counted.Status
	return plan, nil
}

// awaited returns the evictions that were announced and may still happen, and notes
// in the plan those that did not.
func (p *Plan) awaited(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, now time.Time) map[string]metav1.Time {
	var awaited map[string]metav1.Time
	for _, pod := range pods {
		at, announced := b.Status.DisruptedPods[pod.Name]
		if !announced || pod.DeletionTimestamp != nil {
			continue
		}
		left := at.Add(deletionTimeout).Sub(now)
		if left <= 0 {
			p.Undeleted = append(p.Undeleted, pod)
			continue
		}
		if awaited == nil {
			awaited = map[string]metav1.Time{}
		}
		awaited[pod.Name] = at
		if p.RequeueAfter == 0 || left < p.RequeueAfter {
			p.RequeueAfter = left
		}
	}
	return awaited
}

// expect returns how many pods there are to be, and how many of them healthy.
func expect(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, scale Scale) (expected, desired int32, unmanaged []string, err error) {
	if m := b.Spec.MinAvailable; b.Spec.MaxUnavailable == nil && (m == nil || m.Type == intstr.Int) {
		if m != nil {
			expected, desired = int32(min(len(pods), math.MaxInt32)), m.IntVal
		}
		return expected, desired, nil, nil
	}
	if expected, unmanaged, err = scales(pods, scale); err != nil {
		return 0, 0, nil, err
	}
	bound := b.Spec.MaxUnavailable
	if bound == nil {
		bound = b.Spec.MinAvailable
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(bound, int(expected), true)
	if err != nil {
		return 0, 0, nil, err
	}
	desired = int32(n)
	if b.Spec.MaxUnavailable != nil {
		desired = max(expected-desired, 0)
	}
	return expected, desired, unmanaged, nil
}

// scales adds up what the controllers of the pods are to have.
func scales(pods []*corev1.Pod, scale Scale) (sum int32, unmanaged []string, err error) {
	known := map[types.UID]bool{}
	counted := map[types.UID]bool{}
	for _, pod := range pods {
		owner := metav1.GetControllerOf(pod)
		if owner == nil {
			unmanaged = append(unmanaged, pod.Name)
			continue
		}
		if known[owner.UID] {
			continue
		}
		known[owner.UID] = true
		of, n, err := scale(pod, owner)
		if err != nil {
			return 0, nil, err
		}
		if !counted[of] {
			counted[of] = true
			sum += n
		}
	}
	return sum, unmanaged, nil
}

// Failed is the status of a budget whose pods could not be counted: none may go.
func Failed(b *policyv1.PodDisruptionBudget, cause error) policyv1.PodDisruptionBudgetStatus {
	s := b.DeepCopy().Status
	s.DisruptionsAllowed = 0
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason,
		Message: cause.Error(), ObservedGeneration: s.ObservedGeneration,
	})
	return s
}

// same tells whether a status says what is there already.
func same(a, b policyv1.PodDisruptionBudgetStatus) bool { return equality.Semantic.DeepEqual(a, b) }

// noController words what a pod is that belongs to a controller nobody finds.
func noController(pod *corev1.Pod) error {
	return fmt.Errorf("found no controllers for pod %q", pod.Name)
}
