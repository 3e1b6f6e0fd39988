package endpoints

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

// Controller stores what Decide returns.
type Controller struct {
	client    *sdk.Client
	source    *backend.Source
	endpoints *informer.Informer[*corev1.Endpoints]
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches) *Controller {
	return &Controller{client: client, source: backend.NewSource(caches), endpoints: controller.Cache[*corev1.Endpoints](caches)}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "endpoints" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return append(c.source.Inputs(), controller.For(controller.Self[*corev1.Endpoints]))
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string { return []string{"endpoints"} }

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	present, exists := c.endpoints.Get(req.Namespace, req.Name)
	svc, ok := c.source.Service(req)
	if !ok {
		return controller.Result{}, c.remove(ctx, present, exists)
	}
	if !exists {
		present = nil
	}
	want := Decide(svc, c.source.Backends(svc), present)
	var err error
	switch {
	case !exists:
		_, err = sdk.Create(ctx, c.client, want)
	case !equality.Semantic.DeepEqual(present, want):
		_, err = sdk.Update(ctx, c.client, want)
	}
	return controller.Result{}, err
}

// remove deletes what this controller wrote for a service that is gone, or
// whose endpoints are no longer its business. What others wrote stays.
func (c *Controller) remove(ctx context.Context, present *corev1.Endpoints, exists bool) error {
	if !exists || present.Labels[managedByLabel] != managedBy {
		return nil
	}
	err := sdk.Delete[*corev1.Endpoints](ctx, c.client, present.Namespace, present.Name,
		sdk.DeleteOptions{UID: present.UID, ResourceVersion: present.ResourceVersion})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
