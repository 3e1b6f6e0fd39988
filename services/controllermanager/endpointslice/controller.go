package endpointslice

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

const serviceIndex = "service"

// Controller carries out what Decide plans, one transaction a round.
type Controller struct {
	client *sdk.Client
	source *backend.Source
	slices *informer.Informer[*discoveryv1.EndpointSlice]
}

// New makes the controller; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches) *Controller {
	c := &Controller{client: client, source: backend.NewSource(caches), slices: controller.Cache[*discoveryv1.EndpointSlice](caches)}
	c.slices.AddIndex(serviceIndex, func(s *discoveryv1.EndpointSlice) []string {
		if name := serviceOf(s); name != "" {
			return []string{s.Namespace + "/" + name}
		}
		return nil
	})
	return c
}

// serviceOf names the service of a slice that is this controller's.
func serviceOf(s *discoveryv1.EndpointSlice) string {
	if s.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
		return ""
	}
	return s.Labels[discoveryv1.LabelServiceName]
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "endpointslice" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return append(c.source.Inputs(), controller.For(func(s *discoveryv1.EndpointSlice) []controller.Request {
		if name := serviceOf(s); name != "" {
			return []controller.Request{{Namespace: s.Namespace, Name: name}}
		}
		return nil
	}))
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string { return []string{controller.Shared("endpointslices")} }

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	existing := c.slices.ByIndex(serviceIndex, req.Namespace+"/"+req.Name)
	var plan Plan
	if svc, ok := c.source.Service(req); ok {
		plan = Decide(svc, c.source.Backends(svc), existing, c.source.Zone)
	} else {
		plan.Delete = existing
	}
	return controller.Result{}, plan.CarryOut(ctx, c.client)
}

// CarryOut does what is planned, in one transaction.
func (p Plan) CarryOut(ctx context.Context, client *sdk.Client) error {
	var ops []sdk.Operation
	for _, s := range p.Create {
		ops = append(ops, sdk.CreateOp(s))
	}
	for _, s := range p.Update {
		ops = append(ops, sdk.UpdateOp(s))
	}
	for _, s := range p.Delete {
		ops = append(ops, sdk.DeleteOp[*discoveryv1.EndpointSlice](s.Namespace, s.Name,
			sdk.DeleteOptions{UID: s.UID, ResourceVersion: s.ResourceVersion}))
	}
	_, err := client.Transact(ctx, ops...)
	return err
}
