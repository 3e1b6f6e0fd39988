package sdk

import (
	"context"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// GetScale returns how many replicas an object of type T has and should have: a
// Deployment, a ReplicaSet, whatever has the subresource.
func GetScale[T Object](ctx context.Context, c *Client, namespace, name string) (*autoscalingv1.Scale, error) {
	return GetSubresource[T, *autoscalingv1.Scale](ctx, c, namespace, name, "scale")
}

// UpdateScale sets how many replicas the object of type T should have that scale is
// named like. A resourceVersion in it makes that conditional.
func UpdateScale[T Object](ctx context.Context, c *Client, scale *autoscalingv1.Scale, opts ...WriteOption) (*autoscalingv1.Scale, error) {
	return UpdateSubresource[T](ctx, c, "scale", scale, opts...)
}

// Bind assigns a pod to a node: 409 Conflict when it is bound already, is going away,
// or is another pod by now (UID).
func Bind(ctx context.Context, c *Client, pod *corev1.Pod, node string) error {
	op := BindOp(pod, node)
	_, err := c.perform(ctx, op)
	return wrap(err, op.verb, op.typ, op.namespace, op.name)
}

// Evict deletes a pod if the PodDisruptionBudgets allow it: 429 TooManyRequests when
// they do not now.
func Evict(ctx context.Context, c *Client, namespace, name string, how DeleteOptions, opts ...WriteOption) error {
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: how.GracePeriodSeconds}}
	if how.UID != "" || how.ResourceVersion != "" {
		eviction.DeleteOptions.Preconditions = &metav1.Preconditions{}
	}
	if how.UID != "" {
		eviction.DeleteOptions.Preconditions.UID = &how.UID
	}
	if how.ResourceVersion != "" {
		eviction.DeleteOptions.Preconditions.ResourceVersion = &how.ResourceVersion
	}
	if how.Propagation != "" {
		eviction.DeleteOptions.PropagationPolicy = &how.Propagation
	}
	if how.DryRun {
		opts = append(opts, DryRun())
	}
	op := createSubOp[*corev1.Pod](namespace, name, "eviction", eviction, opts)
	_, err := c.perform(ctx, op)
	return wrap(err, op.verb, op.typ, op.namespace, op.name)
}

// GetSubresource returns an object of type S that is made of one of type T. It is as
// linearizable as Get.
func GetSubresource[T, S Object](ctx context.Context, c *Client, namespace, name, subresource string) (S, error) {
	return get[S](ctx, c, &apiv1.GetRequest{Key: key[T](namespace, name), Subresource: subresource})
}

// CreateSubresource acts on an object of type T by an object of type S, and returns
// what that became. For subresources that answer with something else there are
// functions of their own: Bind and Evict.
func CreateSubresource[T, S Object](ctx context.Context, c *Client, namespace, name, subresource string, body S, opts ...WriteOption) (S, error) {
	return perform[S](ctx, c, createSubOp[T](namespace, name, subresource, body, opts))
}

// UpdateSubresource changes an object of type T, which body is named like, by what
// body says of it.
func UpdateSubresource[T, S Object](ctx context.Context, c *Client, subresource string, body S, opts ...WriteOption) (S, error) {
	op := operation("update "+subresource+" of", body, opts, func(a *anypb.Any, w writing) *apiv1.Operation {
		return &apiv1.Operation{Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{
			Object: a, Key: key[T](body.GetNamespace(), body.GetName()), Subresource: subresource, DryRun: w.dryRun, FieldManager: w.manager}}}
	})
	op.typ = TypeNameOf[T]()
	return perform[S](ctx, c, op)
}
