// Package resourcequota counts what namespaces use of their quotas. The apiserver
// counts each change in the change's own transaction; the controller counts all of a
// namespace when a quota comes or is changed, and looks again from time to time, for
// what goes by itself (expired events) and what nobody foresaw.
package resourcequota

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/internal/quota"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
)

// resync is how often all quotas are counted again, as with Kubernetes'
// --resource-quota-sync-period.
const resync = 5 * time.Minute

// Controller keeps the status of quotas.
type Controller struct {
	client *sdk.Client
	quotas *informer.Informer[*corev1.ResourceQuota]

	mu    sync.Mutex
	count map[controller.Request]counted
}

// counted is when a quota was found to be right, or made so.
type counted struct {
	uid  types.UID
	spec corev1.ResourceQuotaSpec
	at   time.Time
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches) *Controller {
	return &Controller{
		client: client, quotas: controller.Cache[*corev1.ResourceQuota](caches),
		count: map[controller.Request]counted{},
	}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "resourcequota" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{controller.For(controller.Self[*corev1.ResourceQuota])}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string { return []string{"resourcequotas/status"} }

// Reconcile implements controller.Controller. Most changes of a quota are the
// apiserver's, which counted right; they cost nothing here.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	cached, ok := c.quotas.Get(req.Namespace, req.Name)
	if !ok {
		c.forget(req)
		return controller.Result{}, nil
	}
	if left := c.due(req, cached); left > 0 && quota.Current(cached) {
		return controller.Result{RequeueAfter: left}, nil
	}
	q, err := sdk.Get[*corev1.ResourceQuota](ctx, c.client, req.Namespace, req.Name)
	if apierrors.IsNotFound(err) {
		return controller.Result{}, nil
	}
	if err != nil {
		return controller.Result{}, err
	}
	if err := c.recount(ctx, q); err != nil {
		return controller.Result{}, err
	}
	c.note(req, q)
	return controller.Result{RequeueAfter: resync}, nil
}

// recount stores what is used. Whatever changes what is used also changes the quota,
// so what was counted holds if the quota is the same still when it is stored. If it is
// not, others write it all the time, and count with each write.
func (c *Controller) recount(ctx context.Context, q *corev1.ResourceQuota) error {
	used, err := quota.Measure(q, contents{ctx, c.client, q.Namespace})
	if err != nil {
		return err
	}
	current := quota.Current(q)
	if current && maps.EqualFunc(used, q.Status.Used, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
		return nil
	}
	next := q.DeepCopy()
	next.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard.DeepCopy(), Used: used}
	_, err = sdk.UpdateStatus(ctx, c.client, next)
	if current && apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store what quota %s/%s counts: %w", q.Namespace, q.Name, err)
	}
	return nil
}

// due returns how long the last count of the quota is good for.
func (c *Controller) due(req controller.Request, q *corev1.ResourceQuota) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.count[req]
	if !ok || last.uid != q.UID || !equality.Semantic.DeepEqual(last.spec, q.Spec) {
		return 0
	}
	return time.Until(last.at.Add(resync))
}

func (c *Controller) note(req controller.Request, q *corev1.ResourceQuota) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[req] = counted{uid: q.UID, spec: q.Spec, at: time.Now()}
}

func (c *Controller) forget(req controller.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.count, req)
}
