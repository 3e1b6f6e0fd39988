// Package namespace empties namespaces that are being deleted, and gives every
// other the objects that pods expect in it.
package namespace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Remaining is what a namespace still holds of one kind.
type Remaining struct {
	// Resource is the plural with its group, as the condition names it: "pods.".
	Resource string
	Count    int64
	// Finalizers counts objects by what keeps them.
	Finalizers map[string]int64
}

// Conditions tells how far the deletion is, in Kubernetes' words; failures are
// those of one kind each. A condition that does not change keeps its transition
// time.
func Conditions(before []corev1.NamespaceCondition, left []Remaining, failures []error, now time.Time) []corev1.NamespaceCondition {
	content, finalizers := describe(left)
	want := []corev1.NamespaceCondition{
		{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse,
			Reason: "ResourcesDiscovered", Message: "All resources successfully discovered"},
		{Type: corev1.NamespaceDeletionGVParsingFailure, Status: corev1.ConditionFalse,
			Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed"},
		{Type: corev1.NamespaceDeletionContentFailure, Status: corev1.ConditionFalse,
			Reason: "ContentDeleted", Message: "All content successfully deleted, may be waiting on finalization"},
		{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionFalse,
			Reason: "ContentRemoved", Message: "All content successfully removed"},
		{Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionFalse,
			Reason: "ContentHasNoFinalizers", Message: "All content-preserving finalizers finished"},
	}
	if len(failures) > 0 {
		want[2].Status, want[2].Reason, want[2].Message = corev1.ConditionTrue, "ContentDeletionFailed",
			fmt.Sprintf("Failed to delete all resource types, %d remaining: %v", len(failures), errors.Join(failures...))
	}
	if content != "" {
		want[3].Status, want[3].Reason, want[3].Message = corev1.ConditionTrue, "SomeResourcesRemain", "Some resources are remaining: "+content
	}
	if finalizers != "" {
		want[4].Status, want[4].Reason, want[4].Message = corev1.ConditionTrue, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+finalizers
	}
	for i := range want {
		want[i].LastTransitionTime = metav1.NewTime(now)
		for _, b := range before {
			if b.Type == want[i].Type && b.Status == want[i].Status {
				want[i].LastTransitionTime = b.LastTransitionTime
			}
		}
	}
	return want
}

func describe(left []Remaining) (content, finalizers string) {
	var resources, holders []string
	held := map[string]int64{}
	for _, r := range left {
		if r.Count > 0 {
			resources = append(resources, fmt.Sprintf("%s has %d resource instances", r.Resource, r.Count))
		}
		for name, n := range r.Finalizers {
			held[name] += n
		}
	}
	for name, n := range held {
		holders = append(holders, fmt.Sprintf("%s in %d resource instances", name, n))
	}
	slices.Sort(resources)
	slices.Sort(holders)
	return strings.Join(resources, ", "), strings.Join(holders, ", ")
}
