package disruption

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
)

// finder returns the scale of an owner; false is that there is no such object.
type finder func(ctx context.Context, namespace string, owner *metav1.OwnerReference) (uid types.UID, replicas int32, ok bool, err error)

// finders are by the kinds that have a scale.
func (c *Controller) finders() map[schema.GroupKind]finder {
	return map[schema.GroupKind]finder{
		{Group: appsv1.GroupName, Kind: "ReplicaSet"}:  c.replicaSet,
		{Group: appsv1.GroupName, Kind: "StatefulSet"}: read(c.client, func(obj *appsv1.StatefulSet) *int32 { return obj.Spec.Replicas }),
		{Kind: "ReplicationController"}:                read(c.client, func(obj *corev1.ReplicationController) *int32 { return obj.Spec.Replicas }),
	}
}

// scale implements Scale.
func (c *Controller) scale(ctx context.Context) Scale {
	return func(pod *corev1.Pod, owner *metav1.OwnerReference) (types.UID, int32, error) {
		gv, err := schema.ParseGroupVersion(owner.APIVersion)
		if err != nil {
			return "", 0, err
		}
		gvk := gv.WithKind(owner.Kind)
		find, ok := c.find[gvk.GroupKind()]
		if !ok {
			resource, _ := meta.UnsafeGuessKindToResource(gvk)
			return "", 0, fmt.Errorf("%s does not implement the scale subresource", resource.GroupResource())
		}
		uid, replicas, ok, err := find(ctx, pod.Namespace, owner)
		if err == nil && !ok {
			err = noController(pod)
		}
		return uid, replicas, err
	}
}

// replicaSet is the deployment's scale for a set that a deployment has: the set's own
// says what it has at this point of a rollout.
func (c *Controller) replicaSet(_ context.Context, namespace string, owner *metav1.OwnerReference) (types.UID, int32, bool, error) {
	rs, ok := c.sets.Get(namespace, owner.Name)
	if !ok || rs.UID != owner.UID {
		return "", 0, false, nil
	}
	if above := metav1.GetControllerOf(rs); above != nil && above.Kind == "Deployment" {
		d, ok := c.deployments.Get(namespace, above.Name)
		if !ok || d.UID != above.UID {
			return "", 0, false, nil
		}
		return d.UID, ptr.Deref(d.Spec.Replicas, 1), true, nil
	}
	return rs.UID, ptr.Deref(rs.Spec.Replicas, 1), true, nil
}

// read asks the server, for kinds of which few pods are in a budget.
func read[T sdk.Object](client *sdk.Client, replicas func(T) *int32) finder {
	return func(ctx context.Context, namespace string, owner *metav1.OwnerReference) (types.UID, int32, bool, error) {
		obj, err := sdk.Get[T](ctx, client, namespace, owner.Name)
		if apierrors.IsNotFound(err) || err == nil && obj.GetUID() != owner.UID {
			return "", 0, false, nil
		}
		if err != nil {
			return "", 0, false, err
		}
		return obj.GetUID(), ptr.Deref(replicas(obj), 1), true, nil
	}
}
