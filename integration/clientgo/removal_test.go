package clientgo_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

// remove deletes the object under a precondition that does not hold, and one that does.
func (l *life) remove() {
	l.t.Helper()
	stranger := types.UID("00000000-0000-0000-0000-000000000000")
	_, err := l.client.call(l.ctx, "Delete", l.now.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &stranger}})
	if !apierrors.IsConflict(err) {
		l.t.Errorf("delete another object: %v", err)
	}
	_, err = l.client.call(l.ctx, "Delete", l.now.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: ptr.To(l.now.GetUID()), ResourceVersion: ptr.To(l.now.GetResourceVersion())},
		PropagationPolicy: ptr.To(metav1.DeletePropagationBackground),
	})
	if err != nil {
		l.t.Fatalf("delete: %v", err)
	}
	l.release()
}

// removeAll deletes a collection of one, beside which is an object that is not ours.
func (l *life) removeAll() {
	l.t.Helper()
	if !l.client.has("DeleteCollection") {
		return
	}
	obj, err := l.client.write(l.ctx, "Create", l.sample, metav1.CreateOptions{})
	l.wrote(watch.Added, obj, err)
	_, err = l.client.call(l.ctx, "DeleteCollection", metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: ours + "=another"})
	if err != nil {
		l.t.Fatalf("delete a collection of nothing: %v", err)
	}
	if _, err := l.client.call(l.ctx, "Get", obj.GetName(), metav1.GetOptions{}); err != nil {
		l.t.Fatalf("what was not selected is gone: %v", err)
	}
	_, err = l.client.call(l.ctx, "DeleteCollection", metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: oursOnly})
	if err != nil {
		l.t.Fatalf("delete the collection: %v", err)
	}
	l.release()
	out, err := l.client.call(l.ctx, "List", metav1.ListOptions{LabelSelector: oursOnly})
	if err != nil || meta.LenList(out.(runtime.Object)) != 0 {
		l.t.Errorf("left of the collection: %v, %v", out, err)
	}
}

// release does what a controller would for an object that is held by a finalizer, and
// expects that it is gone.
func (l *life) release() {
	l.t.Helper()
	obj, err := l.client.write(l.ctx, "Get", l.now.GetName(), metav1.GetOptions{})
	if err == nil {
		l.wrote(watch.Modified, obj, nil)
		if obj.GetDeletionTimestamp() == nil {
			l.t.Errorf("deleted, and does not say when")
		}
		if err := l.letGo(obj); err != nil {
			l.t.Fatal(err)
		}
		_, err = l.client.call(l.ctx, "Get", l.now.GetName(), metav1.GetOptions{})
	}
	if !apierrors.IsNotFound(err) {
		l.t.Errorf("after deletion: %v", err)
	}
	l.events = append(l.events, fmt.Sprint(watch.Deleted))
}

func (l *life) letGo(obj object) error {
	if namespace, ok := obj.(*corev1.Namespace); ok {
		namespace.Spec.Finalizers = nil
		_, err := l.client.call(l.ctx, "Finalize", namespace, metav1.UpdateOptions{})
		return err
	}
	obj.SetFinalizers(nil)
	_, err := l.client.call(l.ctx, "Update", obj, metav1.UpdateOptions{})
	return err
}
