package deployment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/claim"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
)

// Recorder tells the user what happened to an object.
type Recorder interface {
	Event(obj sdk.Object, eventType, reason, format string, args ...any)
}

// Controller carries out what Decide plans, one transaction a round.
type Controller struct {
	client      *sdk.Client
	events      Recorder
	deployments *informer.Informer[*appsv1.Deployment]
	sets        lookup.ByOwner[*appsv1.ReplicaSet]
	pods        lookup.ByOwner[*corev1.Pod]
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches, events Recorder) *Controller {
	return &Controller{
		client: client, events: events,
		deployments: controller.Cache[*appsv1.Deployment](caches),
		sets:        lookup.Owners[*appsv1.ReplicaSet](caches),
		pods:        lookup.Owners[*corev1.Pod](caches),
	}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "deployment" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*appsv1.Deployment]),
		controller.For(claim.Concerned[*appsv1.ReplicaSet](kind.Kind, c.deployments.List, selectorOf)),
		controller.For(c.ofPod),
	}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string {
	return []string{"deployments/status", controller.Shared("replicasets")}
}

func selectorOf(d *appsv1.Deployment) *metav1.LabelSelector { return d.Spec.Selector }

// ofPod matters to a Recreate deployment only: it waits for old pods to end.
func (c *Controller) ofPod(pod *corev1.Pod) []controller.Request {
	ref := metav1.GetControllerOfNoCopy(pod)
	if ref == nil || ref.Kind != "ReplicaSet" {
		return nil
	}
	rs, ok := c.sets.Get(pod.Namespace, ref.Name)
	if !ok || rs.UID != ref.UID {
		return nil
	}
	var out []controller.Request
	for _, req := range controller.OwnerOf[*appsv1.ReplicaSet](kind.Kind)(rs) {
		if d, ok := c.deployments.Get(req.Namespace, req.Name); ok && !rolling(d) {
			out = append(out, req)
		}
	}
	return out
}

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	d, ok := c.deployments.Get(req.Namespace, req.Name)
	if !ok {
		return controller.Result{}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return controller.Result{}, fmt.Errorf("read selector of deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	claims := claim.Sort(d, selector, c.sets.Candidates(d))
	if len(claims.Adopt)+len(claims.Release) > 0 {
		// The change comes back through the cache and starts the next round.
		return controller.Result{}, c.claim(ctx, d, claims)
	}
	o := Observed{Deployment: d, Sets: claims.Owned, Now: now()}
	for _, rs := range claims.Owned {
		o.Pods = append(o.Pods, c.pods.Of(rs.UID)...)
	}
	plan, err := Decide(o)
	if err != nil {
		return controller.Result{}, err
	}
	if err := c.carryOut(ctx, d, plan); err != nil {
		return controller.Result{}, err
	}
	return controller.Result{RequeueAfter: plan.RequeueAfter}, nil
}

// now has no fraction, like the times that conditions hold.
func now() time.Time { return time.Now().Truncate(time.Second) }

// claim takes and releases sets.
func (c *Controller) claim(ctx context.Context, d *appsv1.Deployment, claims claim.Claims[*appsv1.ReplicaSet]) error {
	if len(claims.Adopt) > 0 {
		if may, err := claim.MayAdopt(ctx, c.client, d); err != nil || !may {
			return err
		}
	}
	var ops []sdk.Operation
	for _, rs := range claims.Adopt {
		rs = rs.DeepCopy()
		claim.Adopted(d, kind, rs)
		ops = append(ops, sdk.UpdateOp(rs))
	}
	for _, rs := range claims.Release {
		rs = rs.DeepCopy()
		claim.Released(d, rs)
		ops = append(ops, sdk.UpdateOp(rs))
	}
	_, err := c.client.Transact(ctx, ops...)
	return err
}

func (c *Controller) carryOut(ctx context.Context, d *appsv1.Deployment, plan Plan) error {
	var ops []sdk.Operation
	if plan.Create != nil {
		ops = append(ops, sdk.CreateOp(plan.Create))
	}
	for _, rs := range plan.Update {
		ops = append(ops, sdk.UpdateOp(rs))
	}
	for _, rs := range plan.Delete {
		ops = append(ops, sdk.DeleteOp[*appsv1.ReplicaSet](rs.Namespace, rs.Name,
			sdk.DeleteOptions{UID: rs.UID, ResourceVersion: rs.ResourceVersion}))
	}
	if updated := withPlan(d, plan); updated != nil {
		ops = append(ops, sdk.UpdateStatusOp(updated))
	}
	if _, err := c.client.Transact(ctx, ops...); err != nil {
		return c.refused(ctx, d, plan, err)
	}
	for _, e := range plan.Events {
		c.events.Event(d, e.Type, e.Reason, "%s", e.Message)
	}
	return nil
}

// withPlan returns the deployment with the plan's revision and status, or nil
// when neither changes. Both go with a status update, which does not raise the
// generation.
func withPlan(d *appsv1.Deployment, plan Plan) *appsv1.Deployment {
	if plan.Status == nil && plan.Revision == "" {
		return nil
	}
	updated := d.DeepCopy()
	if plan.Status != nil {
		updated.Status = *plan.Status
	}
	if plan.Revision != "" {
		updated.Annotations = maps.Clone(updated.Annotations)
		if updated.Annotations == nil {
			updated.Annotations = map[string]string{}
		}
		updated.Annotations[revisionAnnotation] = plan.Revision
	}
	return updated
}

// refused looks at why a plan was not carried out. A name that is taken by a
// stranger needs another hash; a set that may not be created is told in the
// status; all else is tried again.
func (c *Controller) refused(ctx context.Context, d *appsv1.Deployment, plan Plan, cause error) error {
	var status apierrors.APIStatus
	index, _ := sdk.RefusedOperation(cause)
	if plan.Create == nil || index != 0 || !errors.As(cause, &status) || apierrors.IsConflict(cause) {
		return cause
	}
	updated := d.DeepCopy()
	if apierrors.IsAlreadyExists(cause) {
		existing, err := sdk.Get[*appsv1.ReplicaSet](ctx, c.client, plan.Create.Namespace, plan.Create.Name)
		if err != nil {
			return cause
		}
		if !Collides(d, existing) {
			return nil // Made a moment ago; the cache will show it and start the next round.
		}
		updated.Status.CollisionCount = ptr.To(ptr.Deref(d.Status.CollisionCount, 0) + 1)
	} else {
		if apierrors.IsServiceUnavailable(cause) || apierrors.IsServerTimeout(cause) || apierrors.IsTimeout(cause) {
			return cause
		}
		c.events.Event(d, corev1.EventTypeWarning, reasonFailed, "Failed to create new replica set %q: %v", plan.Create.Name, cause)
		updated.Status = *Failed(d, plan.Create.Name, cause, now())
	}
	if _, err := sdk.UpdateStatus(ctx, c.client, updated); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}
