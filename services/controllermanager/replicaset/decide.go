// Package replicaset keeps as many pods of a template as a ReplicaSet, or a
// ReplicationController, asks for. Decide is pure; the Controller observes, asks it
// and acts.
package replicaset

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// burst is the most pods created or deleted in one round.
const burst = 500

// Observed is all that a decision depends on. Nothing of it is changed.
type Observed struct {
	Set *appsv1.ReplicaSet
	// Pods are those the set owns, ended and ending ones included.
	Pods []*corev1.Pod
	// Related counts by node the active pods of all sets that have the same
	// owner as this one.
	Related map[string]int
	// Coming counts pods created that are not among Pods yet.
	Coming int
	// Going says of a pod that its deletion was asked for already, though the
	// pod does not show it yet.
	Going func(*corev1.Pod) bool
	// Now is the time that pods are judged at.
	Now time.Time
}

// Plan is what has to be done.
type Plan struct {
	// Create is the number of pods that are missing.
	Create int
	// Delete lists the pods too many.
	Delete []*corev1.Pod
	// Status is what the set's status should be, conditions aside.
	Status appsv1.ReplicaSetStatus
	// RequeueAfter is when a pod becomes available by waiting; 0 for none does.
	RequeueAfter time.Duration
}

// Decide compares the pods with what the set asks for.
func Decide(o Observed) Plan {
	var activePods []*corev1.Pod
	ending := int32(0)
	for _, pod := range o.Pods {
		switch {
		case podstate.Terminal(pod):
		case pod.DeletionTimestamp != nil:
			ending++
		case o.Going != nil && o.Going(pod):
			ending++
		default:
			activePods = append(activePods, pod)
		}
	}
	plan := Plan{}
	plan.Status, plan.RequeueAfter = count(o.Set, activePods, o.Now)
	plan.Status.TerminatingReplicas = &ending
	if o.Set.DeletionTimestamp != nil {
		return plan
	}
	want := 1
	if o.Set.Spec.Replicas != nil {
		want = int(*o.Set.Spec.Replicas)
	}
	switch diff := len(activePods) + o.Coming - want; {
	case diff < 0:
		plan.Create = min(-diff, burst)
	case diff > 0:
		// Pods on their way cannot be told apart yet; only seen ones are deleted.
		plan.Delete = victims(activePods, o.Related, min(diff, burst, len(activePods)), o.Now)
	}
	return plan
}

// count sums up the active pods.
func count(rs *appsv1.ReplicaSet, pods []*corev1.Pod, now time.Time) (appsv1.ReplicaSetStatus, time.Duration) {
	s := appsv1.ReplicaSetStatus{
		Replicas:           int32(len(pods)),
		ObservedGeneration: rs.Generation,
		Conditions:         rs.Status.Conditions,
	}
	template := labels.Set(rs.Spec.Template.Labels).AsSelectorPreValidated()
	var soonest time.Duration
	for _, pod := range pods {
		if template.Matches(labels.Set(pod.Labels)) {
			s.FullyLabeledReplicas++
		}
		if !podstate.Ready(pod) {
			continue
		}
		s.ReadyReplicas++
		available, wait := podstate.Available(pod, rs.Spec.MinReadySeconds, now)
		if available {
			s.AvailableReplicas++
		} else if soonest == 0 || wait < soonest {
			soonest = wait
		}
	}
	return s, soonest
}

// FailureCondition returns the conditions with ReplicaFailure as the last
// round's outcome says: set with the reason for an error, gone for none.
func FailureCondition(conditions []appsv1.ReplicaSetCondition, reason string, cause error, now time.Time) []appsv1.ReplicaSetCondition {
	var kept []appsv1.ReplicaSetCondition
	var current *appsv1.ReplicaSetCondition
	for i, c := range conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure {
			current = &conditions[i]
			continue
		}
		kept = append(kept, c)
	}
	if cause == nil {
		return kept
	}
	if current != nil && current.Status == corev1.ConditionTrue && current.Reason == reason {
		return append(kept, *current)
	}
	return append(kept, appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now), Reason: reason, Message: cause.Error(),
	})
}

// SameStatus says whether a write would change nothing.
func SameStatus(a, b appsv1.ReplicaSetStatus) bool { return equality.Semantic.DeepEqual(a, b) }

// Related counts active pods by node.
func Related(pods []*corev1.Pod) map[string]int {
	byNode := map[string]int{}
	for _, pod := range pods {
		if podstate.Active(pod) && pod.Spec.NodeName != "" {
			byNode[pod.Spec.NodeName]++
		}
	}
	return byNode
}
