package clientgo_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// family is a ConfigMap that owns a Secret.
type family struct {
	t       *testing.T
	clients *kubernetes.Clientset
	name    string
}

func (f *family) found() {
	f.t.Helper()
	ctx := f.t.Context()
	owner, err := f.clients.CoreV1().ConfigMaps("default").Create(ctx, configMap(f.name, ""), metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: f.name, Finalizers: []string{"example.com/held"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: f.name, UID: owner.UID, BlockOwnerDeletion: ptr.To(true)}},
	}}
	if _, err := f.clients.CoreV1().Secrets("default").Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// remove deletes the owner.
func (f *family) remove(policy metav1.DeletionPropagation) {
	f.t.Helper()
	if err := f.clients.CoreV1().ConfigMaps("default").Delete(f.t.Context(), f.name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		f.t.Fatal(err)
	}
}

// settle waits for some minutes and returns what is there then; nil for what is gone.
func (f *family) settle() (*corev1.ConfigMap, *corev1.Secret) {
	f.t.Helper()
	time.Sleep(5 * time.Minute)
	owner, err := f.clients.CoreV1().ConfigMaps("default").Get(f.t.Context(), f.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		owner, err = nil, nil
	}
	if err != nil {
		f.t.Fatal(err)
	}
	owned, err := f.clients.CoreV1().Secrets("default").Get(f.t.Context(), f.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		owned, err = nil, nil
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return owner, owned
}

// release takes away what holds the owned object.
func (f *family) release() {
	f.t.Helper()
	_, err := f.clients.CoreV1().Secrets("default").Patch(f.t.Context(), f.name, types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestPropagation deletes owners of what is held by a finalizer, by each policy.
func TestPropagation(t *testing.T) {
	withControllers(t, func(t *testing.T, c *cluster) {
		begin := func(policy metav1.DeletionPropagation) (*family, *corev1.ConfigMap, *corev1.Secret) {
			f := &family{t: t, clients: c.clients(clientHost), name: "of-" + map[metav1.DeletionPropagation]string{
				metav1.DeletePropagationForeground: "foreground", metav1.DeletePropagationBackground: "background", metav1.DeletePropagationOrphan: "orphans",
			}[policy]}
			f.found()
			time.Sleep(time.Second) // The collector knows both.
			f.remove(policy)
			owner, owned := f.settle()
			return f, owner, owned
		}

		f, owner, owned := begin(metav1.DeletePropagationForeground)
		if owner == nil || owner.DeletionTimestamp == nil || fmt.Sprint(owner.Finalizers) != "["+metav1.FinalizerDeleteDependents+"]" || owned == nil || owned.DeletionTimestamp == nil {
			t.Errorf("foreground: owner %+v, owned %+v", owner, owned)
		}
		f.release()
		if owner, owned := f.settle(); owner != nil || owned != nil {
			t.Errorf("foreground, released: owner %+v, owned %+v", owner, owned)
		}

		f, owner, owned = begin(metav1.DeletePropagationBackground)
		if owner != nil || owned == nil || owned.DeletionTimestamp == nil {
			t.Errorf("background: owner %+v, owned %+v", owner, owned)
		}
		f.release()
		if _, owned := f.settle(); owned != nil {
			t.Errorf("background, released: %+v", owned)
		}

		f, owner, owned = begin(metav1.DeletePropagationOrphan)
		if owner != nil || owned == nil || owned.DeletionTimestamp != nil || len(owned.OwnerReferences) != 0 {
			t.Errorf("orphan: owner %+v, owned %+v", owner, owned)
		}
		f.release()
	})
}

// TestNamespaceGoes deletes a namespace, and waits as kubectl delete does until it and
// what is in it is gone. Nothing is made in it meanwhile.
func TestNamespaceGoes(t *testing.T) {
	withControllers(t, func(t *testing.T, c *cluster) {
		api, ctx := c.clients(clientHost).CoreV1(), t.Context()
		if _, err := api.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		held := configMap("held", "")
		held.Namespace, held.Finalizers = "", []string{"example.com/held"}
		if _, err := api.ConfigMaps("short").Create(ctx, held, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := api.Namespaces().Delete(ctx, "short", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		late := configMap("late", "")
		late.Namespace = ""
		_, err := api.ConfigMaps("short").Create(ctx, late, metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			t.Errorf("made in a namespace that goes: %v", err)
		}
		time.Sleep(5 * time.Minute)
		namespace, err := api.Namespaces().Get(ctx, "short", metav1.GetOptions{})
		if err != nil || namespace.Status.Phase != corev1.NamespaceTerminating || len(namespace.Status.Conditions) == 0 {
			t.Fatalf("%+v, %v", namespace.Status, err)
		}
		if _, err := api.ConfigMaps("short").Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		err = wait.PollUntilContextTimeout(ctx, time.Second, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := api.Namespaces().Get(ctx, "short", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		if err != nil {
			t.Errorf("the namespace stays: %v", err)
		}
	})
}
