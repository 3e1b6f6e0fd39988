package garbagecollector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/services/controllermanager/internal/kinds"
)

// Controller carries out what Decide plans, over all kinds of the table.
type Controller struct {
	client *sdk.Client
	kinds  []sdk.Kind
	caches map[string]kinds.Cache // by type
	byKind map[schema.GroupKind]sdk.Kind
}

// New makes the controller of these kinds; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches, all []sdk.Kind) *Controller {
	c := &Controller{client: client, kinds: all, caches: map[string]kinds.Cache{}, byKind: map[schema.GroupKind]sdk.Kind{}}
	for _, k := range c.kinds {
		c.caches[k.Type] = kinds.Cached(caches, k)
		c.byKind[k.GroupKind()] = k
	}
	return c
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "garbagecollector" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	var out []controller.Input
	for _, k := range c.kinds {
		out = append(out, controller.ForMetadata(k.Type, func(obj *metav1.PartialObjectMetadata) []controller.Request { return c.concerned(k, obj) }))
	}
	return out
}

// Outputs implements controller.Controller. It deletes and patches references
// and finalizers, which no other controller does.
func (c *Controller) Outputs() []string {
	return []string{"metadata.ownerReferences", "metadata.finalizers"}
}

// keyOf names an object of any kind in a request: a type has no slash.
func keyOf(k sdk.Kind, obj metav1.Object) controller.Request {
	return controller.Request{Namespace: obj.GetNamespace(), Name: k.Type + "/" + obj.GetName()}
}

// concerned returns what a change of an object may decide: the object's own
// fate, its dependents' when it is gone or waits for them, its owners' when they
// wait for it. What neither owns nor is owned concerns nothing.
func (c *Controller) concerned(k sdk.Kind, obj metav1.Object) []controller.Request {
	var out []controller.Request
	current, exists := c.caches[k.Type].Get(obj.GetNamespace(), obj.GetName())
	exists = exists && current.GetUID() == obj.GetUID()
	if exists && (len(obj.GetOwnerReferences()) > 0 || (obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) > 0)) {
		out = append(out, keyOf(k, obj))
	}
	if !exists || deletesDependents(obj) {
		for _, d := range c.dependents(obj.GetUID()) {
			out = append(out, keyOf(d.kind, d.object))
		}
	}
	for _, ref := range obj.GetOwnerReferences() {
		if ok, owner := c.cachedOwner(obj, ref); owner != nil && deletesDependents(owner) {
			out = append(out, keyOf(ok, owner))
		}
	}
	return out
}

type dependent struct {
	kind   sdk.Kind
	object metav1.Object
}

func (c *Controller) dependents(owner types.UID) []dependent {
	var out []dependent
	for _, k := range c.kinds {
		for _, obj := range c.caches[k.Type].OwnedBy(owner) {
			out = append(out, dependent{k, obj})
		}
	}
	return out
}

// ownerKind finds the kind of an owner; ok is false for one that the table does
// not hold, or that cannot own the object: a namespaced owner of a cluster-wide one.
func (c *Controller) ownerKind(obj metav1.Object, ref metav1.OwnerReference) (k sdk.Kind, namespace string, ok bool) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return k, "", false
	}
	k, ok = c.byKind[schema.GroupKind{Group: gv.Group, Kind: ref.Kind}]
	if !ok || (k.Namespaced && obj.GetNamespace() == "") {
		return k, "", false
	}
	if k.Namespaced {
		namespace = obj.GetNamespace()
	}
	return k, namespace, true
}

func (c *Controller) cachedOwner(obj metav1.Object, ref metav1.OwnerReference) (sdk.Kind, metav1.Object) {
	k, namespace, ok := c.ownerKind(obj, ref)
	if !ok {
		return k, nil
	}
	if owner, ok := c.caches[k.Type].Get(namespace, ref.Name); ok && owner.GetUID() == ref.UID {
		return k, owner
	}
	return k, nil
}

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	typ, name, _ := strings.Cut(req.Name, "/")
	i := slices.IndexFunc(c.kinds, func(k sdk.Kind) bool { return k.Type == typ })
	if i < 0 {
		return controller.Result{}, fmt.Errorf("collect %s: unknown type", req.Name)
	}
	k := c.kinds[i]
	obj, ok := c.caches[typ].Get(req.Namespace, name)
	if !ok {
		return controller.Result{}, nil
	}
	o := Observed{Object: obj}
	for _, ref := range obj.GetOwnerReferences() {
		state, err := c.ownerState(ctx, obj, ref)
		if err != nil {
			return controller.Result{}, err
		}
		o.Owners = append(o.Owners, state)
	}
	dependents := c.dependents(obj.GetUID())
	for _, d := range dependents {
		o.Dependents = append(o.Dependents, d.object)
	}
	err := c.carryOut(ctx, k, obj, dependents, Decide(o))
	if apierrors.IsNotFound(err) {
		err = nil // It went by itself.
	}
	return controller.Result{}, err
}

// ownerState looks an owner up. That one is absent is believed from the server
// only: the cache may not have it yet.
func (c *Controller) ownerState(ctx context.Context, obj metav1.Object, ref metav1.OwnerReference) (OwnerState, error) {
	k, namespace, ok := c.ownerKind(obj, ref)
	if !ok {
		return Solid, nil
	}
	_, owner := c.cachedOwner(obj, ref)
	if owner == nil {
		got, err := sdk.MetadataOf(c.client, k.Type).Get(ctx, namespace, ref.Name)
		switch {
		case apierrors.IsNotFound(err):
			return Absent, nil
		case err != nil:
			return Solid, err
		case got.GetUID() != ref.UID:
			return Absent, nil
		}
		owner = got
	}
	if deletesDependents(owner) {
		return Waiting, nil
	}
	return Solid, nil
}

func (c *Controller) carryOut(ctx context.Context, k sdk.Kind, obj metav1.Object, dependents []dependent, plan Plan) error {
	if plan.Orphan {
		if err := c.orphan(ctx, obj.GetUID(), dependents); err != nil {
			return err
		}
	}
	if plan.DropFinalizer != "" {
		kept := slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == plan.DropFinalizer })
		return patchMeta(ctx, c.client, k, obj, "finalizers", kept)
	}
	if len(plan.DropOwners) > 0 {
		return patchMeta(ctx, c.client, k, obj, "ownerReferences", withoutOwners(obj, plan.DropOwners))
	}
	if plan.Unblock {
		refs := slices.Clone(obj.GetOwnerReferences())
		for i := range refs {
			refs[i].BlockOwnerDeletion = nil
		}
		if err := patchMeta(ctx, c.client, k, obj, "ownerReferences", refs); err != nil {
			return err
		}
	}
	if plan.Delete == "" {
		return nil
	}
	opts := sdk.DeleteOptions{UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(), Propagation: plan.Delete}
	if plan.Unblock {
		// The patch has just found it unchanged, and changed it.
		opts.ResourceVersion = ""
	}
	return sdk.MetadataOf(c.client, k.Type).Delete(ctx, obj.GetNamespace(), obj.GetName(), opts)
}

// orphan cuts the dependents loose, each as it is by now.
func (c *Controller) orphan(ctx context.Context, owner types.UID, dependents []dependent) error {
	var errs []error
	for _, d := range dependents {
		err := patchMeta(ctx, c.client, d.kind, d.object, "ownerReferences", withoutOwners(d.object, []types.UID{owner}))
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func withoutOwners(obj metav1.Object, gone []types.UID) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(ref metav1.OwnerReference) bool {
		return slices.Contains(gone, ref.UID)
	})
}

// patchMeta replaces one list of the metadata, provided that the object is the
// one that was looked at and has not changed since.
func patchMeta[E any](ctx context.Context, client *sdk.Client, k sdk.Kind, obj metav1.Object, field string, list []E) error {
	meta := map[string]any{"uid": obj.GetUID(), "resourceVersion": obj.GetResourceVersion(), field: list}
	if len(list) == 0 {
		meta[field] = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("patch %s of %s: %w", field, k.Type, err)
	}
	_, err = sdk.MetadataOf(client, k.Type).Patch(ctx, obj.GetNamespace(), obj.GetName(), types.MergePatchType, patch)
	return err
}
