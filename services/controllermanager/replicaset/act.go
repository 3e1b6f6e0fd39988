package replicaset

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/musterhq/muster/sdk"
)

// Reasons of events and of the failure condition, in Kubernetes' words.
const (
	reasonCreated      = "SuccessfulCreate"
	reasonCreateFailed = "FailedCreate"
	reasonDeleted      = "SuccessfulDelete"
	reasonDeleteFailed = "FailedDelete"
)

// batchGrowth is how much bigger the next batch is after one that went through:
// a template that is refused is refused once, not five hundred times.
const batchGrowth = 4

// act creates or deletes pods; for an error reason says which of the two failed.
func (c *Controller[T]) act(ctx context.Context, rs set[T], plan Plan) (reason string, err error) {
	if plan.Create > 0 {
		return reasonCreateFailed, c.create(ctx, rs, plan.Create)
	}
	if len(plan.Delete) > 0 {
		return reasonDeleteFailed, c.delete(ctx, rs, plan.Delete)
	}
	return "", nil
}

// create makes n pods in batches that grow, each all or none.
func (c *Controller[T]) create(ctx context.Context, rs set[T], n int) error {
	for batch := 1; n > 0; batch *= batchGrowth {
		size := min(batch, n)
		if err := c.createBatch(ctx, rs, size); err != nil {
			if !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				c.events.Event(rs.object, corev1.EventTypeWarning, reasonCreateFailed, "Error creating: %v", err)
			}
			return err
		}
		n -= size
	}
	return nil
}

func (c *Controller[T]) createBatch(ctx context.Context, rs set[T], size int) error {
	names := make([]string, 0, size)
	ops := make([]sdk.Operation, 0, size)
	taken := map[string]bool{}
	for len(names) < size {
		pod := newPod(rs.ReplicaSet, c.of.kind)
		if taken[pod.Name] {
			continue
		}
		taken[pod.Name] = true
		names, ops = append(names, pod.Name), append(ops, sdk.CreateOp(pod))
	}
	c.pending.creating(rs.UID, names, time.Now())
	if _, err := c.client.Transact(ctx, ops...); err != nil {
		if !sdk.OutcomeUnknown(err) {
			c.pending.forget(rs.UID, names...)
		}
		return err
	}
	for _, name := range names {
		c.events.Event(rs.object, corev1.EventTypeNormal, reasonCreated, "Created pod: %s", name)
	}
	return nil
}

// newPod makes a pod of the set's template with a name that looks as if the
// server had generated it. It is chosen here so that it is known even when the
// answer is lost.
func newPod(rs *appsv1.ReplicaSet, kind schema.GroupVersionKind) *corev1.Pod {
	prefix := rs.Name + "-"
	// Room for the suffix in a name that is also the pod's host name.
	base := prefix[:min(len(prefix), 58)]
	template := rs.Spec.Template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rs.Namespace, Name: base + rand.String(5), GenerateName: prefix,
			Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations),
			Finalizers:      slices.Clone(template.Finalizers),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, kind)},
		},
		Spec: template.Spec,
	}
}

// delete removes the pods, those of one round together; a pod that is gone
// already is as good as deleted.
func (c *Controller[T]) delete(ctx context.Context, rs set[T], pods []*corev1.Pod) error {
	uids := make([]types.UID, 0, len(pods))
	ops := make([]sdk.Operation, 0, len(pods))
	for _, pod := range pods {
		uids = append(uids, pod.UID)
		ops = append(ops, sdk.DeleteOp[*corev1.Pod](pod.Namespace, pod.Name, sdk.DeleteOptions{UID: pod.UID}))
	}
	c.pending.deleting(rs.UID, uids, time.Now())
	_, err := c.client.Transact(ctx, ops...)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		err = c.deleteEach(ctx, pods)
	}
	if err != nil {
		if !sdk.OutcomeUnknown(err) {
			c.pending.stays(rs.UID, uids)
		}
		c.events.Event(rs.object, corev1.EventTypeWarning, reasonDeleteFailed, "Error deleting: %v", err)
		return err
	}
	for _, pod := range pods {
		c.events.Event(rs.object, corev1.EventTypeNormal, reasonDeleted, "Deleted pod: %s", pod.Name)
	}
	return nil
}

// deleteEach is for when some of the pods are gone, so that no transaction can
// name them all.
func (c *Controller[T]) deleteEach(ctx context.Context, pods []*corev1.Pod) error {
	var errs []error
	for _, pod := range pods {
		// A conflict means another pod of that name: this one is gone too.
		err := sdk.Delete[*corev1.Pod](ctx, c.client, pod.Namespace, pod.Name, sdk.DeleteOptions{UID: pod.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
