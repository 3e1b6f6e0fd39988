package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/sdk"
)

// A Node that somebody deletes while its agent runs comes back as itself, with
// the range that its pods have, and with a Lease of its own.
func TestDeletedNodeIsRegisteredAgain(t *testing.T) {
	simulate(t, 1, 2, func(t *testing.T, c *sim.Cluster) {
		name := c.Nodes[0].Name
		before := must(sdk.Get[*corev1.Node](t.Context(), c.Client, "", name))
		if err := sdk.Delete[*corev1.Node](t.Context(), c.Client, "", name, sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		c.Eventually(30*time.Second, func(ctx context.Context) error {
			after, err := sdk.Get[*corev1.Node](ctx, c.Client, "", name)
			if err != nil {
				return err
			}
			if after.UID == before.UID || after.Spec.PodCIDR != before.Spec.PodCIDR {
				return fmt.Errorf("node %s with range %s, was %s with %s", after.UID, after.Spec.PodCIDR, before.UID, before.Spec.PodCIDR)
			}
			lease, err := sdk.Get[*coordinationv1.Lease](ctx, c.Client, corev1.NamespaceNodeLease, name)
			if err != nil {
				return err
			}
			if len(lease.OwnerReferences) != 1 || lease.OwnerReferences[0].UID != after.UID || *lease.Spec.HolderIdentity != name {
				return fmt.Errorf("lease %+v of node %s", lease, after.UID)
			}
			return nil
		})
		c.WaitNodes()
		sim.Create(c, sim.Deployment("web", 4))
		c.Settled(10 * time.Second)
	})
}

// A server that died leaves the Service of the API soon, though it stays a member
// of the Raft group, and is back as soon as it answers.
func TestDeadServerLeavesTheKubernetesService(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		endpoints := func(want int) {
			t.Helper()
			c.Eventually(8*time.Second, func(ctx context.Context) error {
				slice, err := sdk.Get[*discoveryv1.EndpointSlice](ctx, c.Client, "default", "kubernetes")
				if err == nil && len(slice.Endpoints) != want {
					err = fmt.Errorf("%d endpoints, want %d", len(slice.Endpoints), want)
				}
				return err
			})
		}
		endpoints(3)
		for _, victim := range []*sim.Server{c.Leader(), c.Servers[1]} {
			victim.Kill()
			endpoints(2)
			victim.Start()
			endpoints(3)
		}
	})
}
