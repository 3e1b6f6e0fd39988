package clientgo_test

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/internal/pki"
)

// untyped are clients that know no Go type of any kind.
type untyped struct {
	clients  *kubernetes.Clientset
	dynamic  *dynamic.DynamicClient
	metadata metadata.Interface
	mapper   meta.RESTMapper
}

// TestUntyped takes an object of every kind that is stored through its life by the
// dynamic client, whose resource the REST mapper finds, and the metadata client.
func TestUntyped(t *testing.T) {
	config := loopback.Start(t).Config(pki.AdminIdentity())
	config.WarningHandler = rest.NoWarnings{}
	clients := kubernetes.NewForConfigOrDie(config)
	u := &untyped{
		clients: clients, dynamic: dynamic.NewForConfigOrDie(config), metadata: metadata.NewForConfigOrDie(config),
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Discovery())),
	}
	samples := samples(t)
	for _, r := range served(t, clients) {
		if _, stored := special[r.Name]; stored || samples[r.gvk] == nil || samples[r.gvk].GetName() == "" {
			continue // TestTyped says that one is missing.
		}
		t.Run(r.gvr.GroupResource().String()+"."+r.gvr.Version, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			u.live(ctx, t, r, prepared(ctx, t, clients, samples[r.gvk], r.Namespaced))
		})
	}
}

func (u *untyped) live(ctx context.Context, t *testing.T, r *resource, sample object) {
	mapping, err := u.mapper.RESTMapping(r.gvk.GroupKind(), r.gvk.Version)
	if err != nil || mapping.Resource != r.gvr || (mapping.Scope.Name() == meta.RESTScopeNameNamespace) != r.Namespaced {
		t.Fatalf("mapping %+v, %v", mapping, err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sample)
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{Object: fields}
	obj.SetGroupVersionKind(r.gvk)
	api := u.dynamic.Resource(r.gvr).Namespace(sample.GetNamespace())
	about := u.metadata.Resource(r.gvr).Namespace(sample.GetNamespace())
	informed := u.inform(ctx, t, r, sample.GetNamespace())

	created, err := api.Create(ctx, obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatal(err)
	}
	u.checkMetadata(ctx, t, r, about, created)
	if err := unstructured.SetNestedField(obj.Object, "yes", "metadata", "annotations", "applied"); err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(obj.Object, "status")
	applied, err := api.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "applier", Force: true})
	if err != nil || applied.GetAnnotations()["applied"] != "yes" || applied.GroupVersionKind() != r.gvk {
		t.Fatalf("applied: %v, %v", applied, err)
	}
	patched, err := about.Patch(ctx, obj.GetName(), types.MergePatchType, []byte(`{"metadata": {"annotations": {"patched": "yes"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Annotations["patched"] != "yes" || patched.ResourceVersion == applied.GetResourceVersion() {
		t.Fatalf("patched: %+v, %v", patched, err)
	}
	informed(func(m metav1.Object) bool { return m != nil && m.GetResourceVersion() == patched.ResourceVersion })
	if err := about.Delete(ctx, obj.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	u.release(ctx, t, api, obj.GetName())
	informed(func(m metav1.Object) bool { return m == nil })
}

// checkMetadata gets, lists and watches the metadata of what was created.
func (u *untyped) checkMetadata(ctx context.Context, t *testing.T, r *resource, about metadata.ResourceInterface, created *unstructured.Unstructured) {
	t.Helper()
	got, err := about.Get(ctx, created.GetName(), metav1.GetOptions{})
	if err != nil || got.UID != created.GetUID() || got.ResourceVersion != created.GetResourceVersion() {
		t.Errorf("metadata %+v, %v", got, err)
	}
	list, err := about.List(ctx, metav1.ListOptions{LabelSelector: oursOnly})
	if err != nil || len(list.Items) != 1 || list.Items[0].UID != created.GetUID() || list.ResourceVersion == "" {
		t.Fatalf("metadata of all: %+v, %v", list, err)
	}
	watcher, err := about.Watch(ctx, metav1.ListOptions{LabelSelector: oursOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	select {
	case e := <-watcher.ResultChan():
		if m, ok := e.Object.(*metav1.PartialObjectMetadata); e.Type != watch.Added || !ok || m.UID != created.GetUID() {
			t.Errorf("watched metadata: %+v", e)
		}
	case <-ctx.Done():
		t.Errorf("%s: no event", r.gvr)
	}
}

// inform runs a dynamic informer and one of metadata. What it returns waits until both
// have of the one object that is ours what it is told to look for.
func (u *untyped) inform(ctx context.Context, t *testing.T, r *resource, namespace string) func(func(metav1.Object) bool) {
	t.Helper()
	tweak := func(o *metav1.ListOptions) { o.LabelSelector = oursOnly }
	whole := dynamicinformer.NewFilteredDynamicSharedInformerFactory(u.dynamic, 0, namespace, tweak)
	partial := metadatainformer.NewFilteredSharedInformerFactory(u.metadata, 0, namespace, tweak)
	all := []cache.SharedIndexInformer{whole.ForResource(r.gvr).Informer(), partial.ForResource(r.gvr).Informer()}
	changed := make(chan struct{}, 1)
	note := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range all {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) }, DeleteFunc: note}); err != nil {
			t.Fatal(err)
		}
	}
	running, stop := context.WithCancel(ctx)
	whole.Start(running.Done())
	partial.Start(running.Done())
	t.Cleanup(func() {
		stop()
		whole.Shutdown()
		partial.Shutdown()
	})
	if !cache.WaitForCacheSync(ctx.Done(), all[0].HasSynced, all[1].HasSynced) {
		t.Fatal("the informers have not synced")
	}
	return func(found func(metav1.Object) bool) {
		t.Helper()
		for !found(only(all[0])) || !found(only(all[1])) {
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("the informers have %v and %v", only(all[0]), only(all[1]))
			}
		}
	}
}

// only is the one object that an informer has; nil where it has none.
func only(informer cache.SharedIndexInformer) metav1.Object {
	list := informer.GetStore().List()
	if len(list) == 0 {
		return nil
	}
	return list[0].(metav1.Object)
}

// release takes the finalizers of an object that was deleted.
func (u *untyped) release(ctx context.Context, t *testing.T, api dynamic.ResourceInterface, name string) {
	t.Helper()
	left, err := api.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return
	case err != nil:
		t.Fatal(err)
	case left.GetKind() == "Namespace":
		unstructured.RemoveNestedField(left.Object, "spec", "finalizers")
		_, err = api.Update(ctx, left, metav1.UpdateOptions{}, "finalize")
	default:
		_, err = api.Patch(ctx, name, types.JSONPatchType, []byte(`[{"op": "remove", "path": "/metadata/finalizers"}]`), metav1.PatchOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
