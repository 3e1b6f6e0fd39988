package disruption

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
)

// Recorder tells the user what happened to an object.
type Recorder interface {
	Event(obj sdk.Object, eventType, reason, format string, args ...any)
}

// Controller stores what Decide returns.
type Controller struct {
	client      *sdk.Client
	events      Recorder
	budgets     lookup.ByNamespace[*policyv1.PodDisruptionBudget]
	pods        lookup.ByNamespace[*corev1.Pod]
	sets        *informer.Informer[*appsv1.ReplicaSet]
	deployments *informer.Informer[*appsv1.Deployment]
	find        map[schema.GroupKind]finder
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches, events Recorder) *Controller {
	c := &Controller{
		client: client, events: events,
		budgets:     lookup.Namespaces[*policyv1.PodDisruptionBudget](caches),
		pods:        lookup.Namespaces[*corev1.Pod](caches),
		sets:        controller.Cache[*appsv1.ReplicaSet](caches),
		deployments: controller.Cache[*appsv1.Deployment](caches),
	}
	c.find = c.finders()
	return c
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "disruption" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*policyv1.PodDisruptionBudget]),
		controller.For(c.guards),
		controller.Reads[*appsv1.ReplicaSet](),
		controller.Reads[*appsv1.Deployment](),
	}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string { return []string{"poddisruptionbudgets/status"} }

// guards are the budgets that a pod belongs to.
func (c *Controller) guards(pod *corev1.Pod) []controller.Request {
	var requests []controller.Request
	for _, b := range c.budgets.In(pod.Namespace) {
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && s.Matches(labels.Set(pod.Labels)) {
			requests = append(requests, controller.Self(b)...)
		}
	}
	return requests
}

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	b, ok := c.budgets.Get(req.Namespace, req.Name)
	if !ok || b.DeletionTimestamp != nil {
		return controller.Result{}, nil
	}
	pods, err := c.podsOf(b)
	var plan Plan
	if err == nil {
		plan, err = Decide(b, pods, c.scale(ctx), time.Now())
	}
	if err != nil {
		// What is not understood is not evicted.
		c.events.Event(b, corev1.EventTypeWarning, "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %v", err)
		return controller.Result{}, c.write(ctx, b, Failed(b, err))
	}
	c.tell(b, pods, plan)
	return controller.Result{RequeueAfter: plan.RequeueAfter}, c.write(ctx, b, plan.Status)
}

func (c *Controller) podsOf(b *policyv1.PodDisruptionBudget) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, pod := range c.pods.In(b.Namespace) {
		if selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// tell records what the user should know of a budget that counts anew.
func (c *Controller) tell(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, plan Plan) {
	for _, pod := range plan.Undeleted {
		c.events.Event(pod, corev1.EventTypeWarning, "NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", b.Namespace, b.Name)
	}
	if same(plan.Status, b.Status) {
		return
	}
	if len(pods) == 0 {
		c.events.Event(b, corev1.EventTypeNormal, "NoPods", "No matching pods found")
	}
	if len(plan.Unmanaged) > 0 {
		c.events.Event(b, corev1.EventTypeWarning, "UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: %v) were found "+
			"to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" "+
			"field of the PDB to an integer value.", b.Spec.Selector)
	}
}

// write stores the status of the budget as it was read: an eviction that was charged
// meanwhile makes it a conflict, and the next round counts it in.
func (c *Controller) write(ctx context.Context, b *policyv1.PodDisruptionBudget, status policyv1.PodDisruptionBudgetStatus) error {
	if same(status, b.Status) {
		return nil
	}
	updated := b.DeepCopy()
	updated.Status = status
	_, err := sdk.UpdateStatus(ctx, c.client, updated)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // The change that was quicker starts the next round.
	}
	return err
}
