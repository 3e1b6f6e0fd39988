package namespace_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/controllermanager/namespace"
)

// said returns "Status Reason: Message" of a condition.
func said(conditions []corev1.NamespaceCondition, kind corev1.NamespaceConditionType) string {
	for _, c := range conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Reason + ": " + c.Message
		}
	}
	return "nothing"
}

func TestConditions(t *testing.T) {
	now := time.Unix(1000, 0)
	left := []namespace.Remaining{
		{Resource: "pods.", Count: 2, Finalizers: map[string]int64{"x/y": 1}},
		{Resource: "deployments.apps", Count: 1, Finalizers: map[string]int64{"x/y": 1, "a/b": 1}},
		{Resource: "secrets.", Count: 0},
	}
	got := namespace.Conditions(nil, left, []error{errors.New("no pods"), errors.New("no secrets")}, now)
	for kind, want := range map[corev1.NamespaceConditionType]string{
		corev1.NamespaceDeletionDiscoveryFailure: "False ResourcesDiscovered: All resources successfully discovered",
		corev1.NamespaceDeletionContentFailure:   "True ContentDeletionFailed: Failed to delete all resource types, 2 remaining: no pods\nno secrets",
		corev1.NamespaceContentRemaining: "True SomeResourcesRemain: Some resources are remaining: " +
			"deployments.apps has 1 resource instances, pods. has 2 resource instances",
		corev1.NamespaceFinalizersRemaining: "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: " +
			"a/b in 1 resource instances, x/y in 2 resource instances",
	} {
		if said(got, kind) != want {
			t.Errorf("%s: %q, want %q", kind, said(got, kind), want)
		}
	}
}

func TestConditionsKeepTheirTime(t *testing.T) {
	then, now := time.Unix(1000, 0), time.Unix(2000, 0)
	before := namespace.Conditions(nil, []namespace.Remaining{{Resource: "pods.", Count: 1}}, nil, then)
	for _, c := range namespace.Conditions(before, nil, nil, now) {
		want := metav1.NewTime(then)
		if c.Type == corev1.NamespaceContentRemaining {
			want = metav1.NewTime(now)
		}
		if !c.LastTransitionTime.Equal(&want) || c.Status != corev1.ConditionFalse {
			t.Errorf("%s: %s since %s, want False since %s", c.Type, c.Status, c.LastTransitionTime, want)
		}
	}
}
