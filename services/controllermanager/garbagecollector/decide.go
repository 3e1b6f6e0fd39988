// Package garbagecollector deletes what has lost its owners, in the background
// or before the owner itself, or cuts it loose. Decide is pure; the Controller
// observes, asks it and acts.
package garbagecollector

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// OwnerState is what is known of an owner that an object refers to.
type OwnerState int

const (
	// Solid owners exist, or are of a kind that nothing can be said of.
	Solid OwnerState = iota
	// Absent owners do not exist: the server said so.
	Absent
	// Waiting owners are being deleted and wait for their dependents to go first.
	Waiting
)

// Observed is all that a decision depends on.
type Observed struct {
	Object metav1.Object
	// Owners holds the state of each owner reference, in their order.
	Owners []OwnerState
	// Dependents refer to the object as an owner.
	Dependents []metav1.Object
}

// Plan is what has to be done.
type Plan struct {
	// Delete says how the object is to be deleted; empty to leave it.
	Delete metav1.DeletionPropagation
	// DropOwners lists the owners whose references the object has to lose.
	DropOwners []types.UID
	// Unblock says that the object must no longer hold up its owners' deletion:
	// it waits for dependents that wait for it.
	Unblock bool
	// Orphan says that the dependents have to lose their reference to the object.
	Orphan bool
	// DropFinalizer is one that has done its work; it goes after all else.
	DropFinalizer string
}

// Decide returns what has to become of the object.
func Decide(o Observed) Plan {
	obj := o.Object
	if obj.GetDeletionTimestamp() != nil {
		switch {
		case has(obj, metav1.FinalizerOrphanDependents):
			return Plan{Orphan: true, DropFinalizer: metav1.FinalizerOrphanDependents}
		case has(obj, metav1.FinalizerDeleteDependents) && !blocked(o):
			return Plan{DropFinalizer: metav1.FinalizerDeleteDependents}
		}
		return Plan{}
	}
	return byOwners(o)
}

func byOwners(o Observed) Plan {
	var gone []types.UID
	solid, waiting := 0, 0
	for i, ref := range o.Object.GetOwnerReferences() {
		switch o.Owners[i] {
		case Solid:
			solid++
			continue
		case Waiting:
			waiting++
		}
		gone = append(gone, ref.UID)
	}
	switch {
	case len(gone) == 0:
		return Plan{}
	case solid > 0:
		return Plan{DropOwners: gone}
	case waiting > 0 && len(o.Dependents) > 0:
		return Plan{Delete: metav1.DeletePropagationForeground, Unblock: slices.ContainsFunc(o.Dependents, deletesDependents)}
	case has(o.Object, metav1.FinalizerOrphanDependents):
		return Plan{Delete: metav1.DeletePropagationOrphan}
	case has(o.Object, metav1.FinalizerDeleteDependents):
		return Plan{Delete: metav1.DeletePropagationForeground}
	}
	return Plan{Delete: metav1.DeletePropagationBackground}
}

// blocked says whether the object's deletion has to wait for a dependent.
func blocked(o Observed) bool {
	return slices.ContainsFunc(o.Dependents, func(d metav1.Object) bool {
		return slices.ContainsFunc(d.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
			return ref.UID == o.Object.GetUID() && ptr.Deref(ref.BlockOwnerDeletion, false)
		})
	})
}

// deletesDependents says whether the object waits for its dependents to go.
func deletesDependents(obj metav1.Object) bool {
	return obj.GetDeletionTimestamp() != nil && has(obj, metav1.FinalizerDeleteDependents)
}

func has(obj metav1.Object, finalizer string) bool {
	return slices.Contains(obj.GetFinalizers(), finalizer)
}
