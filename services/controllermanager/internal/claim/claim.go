// Package claim sorts objects by what their would-be owner has to do with them.
package claim

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Claims is what an owner holds, and what it should take or let go.
type Claims[T metav1.Object] struct {
	// Owned objects carry the owner's reference and match its selector.
	Owned []T
	// Adopt lists matching objects that nobody owns.
	Adopt []T
	// Release lists objects that carry the reference and no longer match.
	Release []T
}

// Sort decides for every object. An owner that is being deleted takes and
// releases nothing, and an object that is being deleted is never adopted.
func Sort[T metav1.Object](owner metav1.Object, selector labels.Selector, objects []T) Claims[T] {
	var c Claims[T]
	for _, obj := range objects {
		if obj.GetNamespace() != owner.GetNamespace() {
			continue
		}
		ref := metav1.GetControllerOfNoCopy(obj)
		matches := selector.Matches(labels.Set(obj.GetLabels()))
		switch {
		case ref != nil && ref.UID != owner.GetUID():
		case ref != nil && matches:
			c.Owned = append(c.Owned, obj)
		case owner.GetDeletionTimestamp() != nil:
		case ref != nil:
			c.Release = append(c.Release, obj)
		case matches && obj.GetDeletionTimestamp() == nil:
			c.Adopt = append(c.Adopt, obj)
		}
	}
	return c
}

// Adopted adds the owner's controller reference to obj.
func Adopted(owner metav1.Object, kind schema.GroupVersionKind, obj metav1.Object) {
	obj.SetOwnerReferences(append(obj.GetOwnerReferences(), *metav1.NewControllerRef(owner, kind)))
}

// Released removes the owner's reference from obj.
func Released(owner metav1.Object, obj metav1.Object) {
	var refs []metav1.OwnerReference
	for _, ref := range obj.GetOwnerReferences() {
		if ref.UID != owner.GetUID() {
			refs = append(refs, ref)
		}
	}
	obj.SetOwnerReferences(refs)
}
