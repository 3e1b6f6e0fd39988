package replicaset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
)

// replicated is a kind whose objects ask for pods as a ReplicaSet does.
type replicated[T sdk.Object] struct {
	kind     schema.GroupVersionKind
	resource string
	selector func(T) *metav1.LabelSelector
	// set is the object as a ReplicaSet. It shares parts with the object, which
	// nobody may change.
	set func(T) *appsv1.ReplicaSet
	// withStatus is a copy of the object with another status.
	withStatus func(T, appsv1.ReplicaSetStatus) T
}

// set is one object, and what it asks for.
type set[T sdk.Object] struct {
	object T
	*appsv1.ReplicaSet
}

var replicaSets = replicated[*appsv1.ReplicaSet]{
	kind: appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), resource: "replicasets",
	selector: func(rs *appsv1.ReplicaSet) *metav1.LabelSelector { return rs.Spec.Selector },
	set:      func(rs *appsv1.ReplicaSet) *appsv1.ReplicaSet { return rs },
	withStatus: func(rs *appsv1.ReplicaSet, status appsv1.ReplicaSetStatus) *appsv1.ReplicaSet {
		rs = rs.DeepCopy()
		rs.Status = status
		return rs
	},
}

var replicationControllers = replicated[*corev1.ReplicationController]{
	kind: corev1.SchemeGroupVersion.WithKind("ReplicationController"), resource: "replicationcontrollers",
	selector: selectorOf, set: asSet, withStatus: withStatus,
}

func selectorOf(rc *corev1.ReplicationController) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: rc.Spec.Selector}
}

func asSet(rc *corev1.ReplicationController) *appsv1.ReplicaSet {
	s := &rc.Status
	rs := &appsv1.ReplicaSet{
		ObjectMeta: rc.ObjectMeta,
		Spec: appsv1.ReplicaSetSpec{
			Replicas: rc.Spec.Replicas, MinReadySeconds: rc.Spec.MinReadySeconds, Selector: selectorOf(rc),
			Template: ptr.Deref(rc.Spec.Template, corev1.PodTemplateSpec{}),
		},
		Status: appsv1.ReplicaSetStatus{
			Replicas: s.Replicas, FullyLabeledReplicas: s.FullyLabeledReplicas, ReadyReplicas: s.ReadyReplicas,
			AvailableReplicas: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
		},
	}
	for _, c := range s.Conditions {
		rs.Status.Conditions = append(rs.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return rs
}

func withStatus(rc *corev1.ReplicationController, s appsv1.ReplicaSetStatus) *corev1.ReplicationController {
	rc = rc.DeepCopy()
	rc.Status = corev1.ReplicationControllerStatus{
		Replicas: s.Replicas, FullyLabeledReplicas: s.FullyLabeledReplicas, ReadyReplicas: s.ReadyReplicas,
		AvailableReplicas: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
	}
	for _, c := range s.Conditions {
		rc.Status.Conditions = append(rc.Status.Conditions, corev1.ReplicationControllerCondition{
			Type: corev1.ReplicationControllerConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return rc
}
