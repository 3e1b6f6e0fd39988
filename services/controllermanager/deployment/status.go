package deployment

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// calculate counts the sets into a status, with the Available condition.
func (r *rollout) calculate() appsv1.DeploymentStatus {
	all := r.all()
	available := total(all, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.AvailableReplicas })
	s := appsv1.DeploymentStatus{
		ObservedGeneration:  r.d.Generation,
		Replicas:            total(all, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.Replicas }),
		ReadyReplicas:       total(all, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.ReadyReplicas }),
		AvailableReplicas:   available,
		UnavailableReplicas: max(0, total(all, size)-available),
		TerminatingReplicas: terminating(all),
		CollisionCount:      r.d.Status.CollisionCount,
	}
	if r.newSet != nil {
		s.UpdatedReplicas = r.newSet.Status.Replicas
	}
	for i := range r.d.Status.Conditions {
		s.Conditions = append(s.Conditions, *r.d.Status.Conditions[i].DeepCopy())
	}
	if available >= desired(r.d)-maxUnavailable(r.d) {
		setCondition(&s, r.newCondition(appsv1.DeploymentAvailable, corev1.ConditionTrue,
			"MinimumReplicasAvailable", "Deployment has minimum availability."))
	} else {
		setCondition(&s, r.newCondition(appsv1.DeploymentAvailable, corev1.ConditionFalse,
			"MinimumReplicasUnavailable", "Deployment does not have minimum availability."))
	}
	return s
}

// terminating sums what the sets say of pods on their way out; nil as long as
// one of them does not say.
func terminating(sets []*appsv1.ReplicaSet) *int32 {
	var sum int32
	for _, rs := range sets {
		if rs.Status.TerminatingReplicas == nil {
			return nil
		}
		sum += *rs.Status.TerminatingReplicas
	}
	return &sum
}

func (r *rollout) status(s appsv1.DeploymentStatus) { r.plan.Status = &s }

// rolloutStatus tells how the rollout is doing, and when it is to be judged next.
func (r *rollout) rolloutStatus() {
	s := r.calculate()
	current := condition(r.d.Status, appsv1.DeploymentProgressing)
	if !hasDeadline(r.d) {
		removeCondition(&s, appsv1.DeploymentProgressing)
	} else if done := s.Replicas == s.UpdatedReplicas && current != nil && current.Reason == reasonAvailable; !done {
		r.progress(&s, current)
	}
	if failure := replicaFailure(r.all(), r.newSet); failure != nil {
		setCondition(&s, *failure)
	} else {
		removeCondition(&s, appsv1.DeploymentReplicaFailure)
	}
	r.status(s)
	r.plan.RequeueAfter = r.untilDeadline(&s)
}

func (r *rollout) progress(s *appsv1.DeploymentStatus, current *appsv1.DeploymentCondition) {
	subject := fmt.Sprintf("Deployment %q", r.d.Name)
	if r.newSet != nil {
		subject = fmt.Sprintf("ReplicaSet %q", r.newSet.Name)
	}
	switch {
	case complete(r.d, s):
		setCondition(s, r.newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue,
			reasonAvailable, subject+" has successfully progressed."))
	case progressing(&r.d.Status, s):
		c := r.newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonUpdated, subject+" is progressing.")
		if current != nil && current.Status == corev1.ConditionTrue {
			c.LastTransitionTime = current.LastTransitionTime
		}
		// Removed first: the time of the update has to move with every step.
		removeCondition(s, appsv1.DeploymentProgressing)
		setCondition(s, c)
	case timedOut(r.d, s, r.now):
		setCondition(s, r.newCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse,
			reasonTimedOut, subject+" has timed out progressing."))
	}
}

// untilDeadline is the time after which a rollout that has not moved is late.
func (r *rollout) untilDeadline(s *appsv1.DeploymentStatus) time.Duration {
	c := condition(*s, appsv1.DeploymentProgressing)
	if !hasDeadline(r.d) || c == nil || complete(r.d, s) || c.Reason == reasonTimedOut {
		return 0
	}
	left := c.LastUpdateTime.Add(time.Duration(*r.d.Spec.ProgressDeadlineSeconds) * time.Second).Sub(r.now)
	// A second more: the times of conditions have no fractions.
	return max(0, left) + time.Second
}

// replicaFailure returns what keeps a set from making its pods, the new set's first.
func replicaFailure(all []*appsv1.ReplicaSet, newSet *appsv1.ReplicaSet) *appsv1.DeploymentCondition {
	ordered := all
	if newSet != nil {
		ordered = append([]*appsv1.ReplicaSet{newSet}, all...)
	}
	for _, rs := range ordered {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
				return &appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: c.Status, Reason: c.Reason, Message: c.Message,
					LastUpdateTime: c.LastTransitionTime, LastTransitionTime: c.LastTransitionTime,
				}
			}
		}
	}
	return nil
}
