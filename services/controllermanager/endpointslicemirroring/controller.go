package endpointslicemirroring

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/endpointslice"
)

const endpointsIndex = "endpoints"

// Controller carries out what Decide plans, one transaction a round.
type Controller struct {
	client    *sdk.Client
	services  *informer.Informer[*corev1.Service]
	endpoints *informer.Informer[*corev1.Endpoints]
	slices    *informer.Informer[*discoveryv1.EndpointSlice]
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches) *Controller {
	c := &Controller{
		client: client, services: controller.Cache[*corev1.Service](caches),
		endpoints: controller.Cache[*corev1.Endpoints](caches), slices: controller.Cache[*discoveryv1.EndpointSlice](caches),
	}
	c.slices.AddIndex(endpointsIndex, func(s *discoveryv1.EndpointSlice) []string {
		var keys []string
		for _, r := range requests(s) {
			keys = append(keys, r.Namespace+"/"+r.Name)
		}
		return keys
	})
	return c
}

// requests names the endpoints of a slice that is this controller's.
func requests(s *discoveryv1.EndpointSlice) []controller.Request {
	if s.Labels[discoveryv1.LabelManagedBy] != ManagedBy || s.Labels[discoveryv1.LabelServiceName] == "" {
		return nil
	}
	return []controller.Request{{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "endpointslicemirroring" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*corev1.Service]), controller.For(controller.Self[*corev1.Endpoints]), controller.For(requests),
	}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string { return []string{controller.Shared("endpointslices")} }

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	existing := c.slices.ByIndex(endpointsIndex, req.Namespace+"/"+req.Name)
	plan := endpointslice.Plan{Delete: existing}
	svc, served := c.services.Get(req.Namespace, req.Name)
	if ep, ok := c.endpoints.Get(req.Namespace, req.Name); ok && served && mirrored(svc, ep) {
		plan = Decide(ep, existing)
	}
	return controller.Result{}, plan.CarryOut(ctx, c.client)
}
