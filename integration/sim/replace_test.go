package sim_test

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/musterhq/muster/integration/sim"
)

// All servers that an agent was told of at its start are replaced, one after the
// other, while it runs. It learns of the new ones and works on.
func TestAllServersAreReplaced(t *testing.T) {
	simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, sim.Deployment("web", 4))
		c.Settled(10 * time.Second)
		before := containers(t, c)
		for i, old := range slices.Clone(c.Servers) {
			c.AddServer(4 + i)
			time.Sleep(30 * time.Second)
			c.RemoveServer(old)
			time.Sleep(30 * time.Second)
			c.WaitNodes()
		}
		c.SameState()
		sameContainers(t, before, containers(t, c))

		// The agents still hear of changes, and of one more lost server.
		c.Change("web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "whoami:2" })
		c.Settled(time.Minute)
		lost := c.Leader()
		lost.Kill()
		c.Change("web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "whoami:1" })
		c.Settled(time.Minute)
		lost.Start()
		lost.WaitReady()
	})
}
