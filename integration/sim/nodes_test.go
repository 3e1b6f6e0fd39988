package sim_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/sim"
)

var errNotYet = errors.New("not yet")

// containers returns when each container of the cluster was started, by its ID.
func containers(t *testing.T, c *sim.Cluster) map[string]time.Time {
	t.Helper()
	out := map[string]time.Time{}
	for _, n := range c.Nodes {
		pods, err := n.Runtime.Pods(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods {
			for _, container := range p.Containers {
				out[container.ID] = container.StartedAt
			}
		}
	}
	return out
}

func sameContainers(t *testing.T, before, after map[string]time.Time) {
	t.Helper()
	if !maps.Equal(before, after) {
		t.Errorf("containers were\n%v\nand are\n%v", before, after)
	}
}

func TestAgentRestartAdoptsPods(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(*sim.Node)
		away time.Duration
	}{
		{"stopped", (*sim.Node).Stop, time.Second},
		{"killed", (*sim.Node).Kill, time.Second},
		{"killed for a minute", (*sim.Node).Kill, time.Minute},
	} {
		t.Run(how.name, func(t *testing.T) {
			simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
				sim.Create(c, sim.Deployment("web", 4))
				sim.Create(c, sim.Service("web"))
				c.Settled(10 * time.Second)
				c.EndpointsMatch("web")
				before := containers(t, c)
				low := watchAvailability(t, c, "web")
				how.end(c.Nodes[0])
				time.Sleep(how.away)
				c.Nodes[0].Start()
				c.WaitNodes()
				c.Settled(10 * time.Second)
				c.EndpointsMatch("web")
				if err := low(); err != nil && how.away < 10*time.Second {
					t.Errorf("an agent's restart took endpoints away: %v", err)
				}
				sameContainers(t, before, containers(t, c))
				// What is new shows that the new agent works.
				c.Change("web", sim.Scale(8))
				c.Settled(10 * time.Second)
				if on := nodesOf(must(c.Pods(t.Context(), "web"))); on["node1"] <= 2 {
					t.Errorf("pods are on %v", on)
				}
			})
		})
	}
}

func TestNodeCutOffAndHealed(t *testing.T) {
	simulate(t, 3, 3, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, sim.Deployment("web", 6))
		sim.Create(c, sim.Service("web"))
		c.Settled(10 * time.Second)
		c.EndpointsMatch("web")
		lost := c.Nodes[0]
		lost.Cut()
		cut := time.Now()
		c.Eventually(3*time.Second, func(ctx context.Context) error {
			ready, err := c.ReadyEndpoints(ctx, "web")
			for address, node := range ready {
				if node == lost.Name {
					err = errors.Join(err, fmt.Errorf("%s on %s gets traffic", address, node))
				}
			}
			return err
		})
		t.Logf("endpoints are gone after %v", time.Since(cut))
		// The pods tolerate the loss for 300 s.
		time.Sleep(time.Until(cut.Add(300 * time.Second)))
		if pods := must(c.Pods(t.Context(), "web")); len(pods) != 6 {
			t.Errorf("%d pods before the tolerations ran out", len(pods))
		}
		c.Eventually(10*time.Second, func(ctx context.Context) error {
			if ready := must(c.ReadyEndpoints(ctx, "web")); len(ready) != 6 {
				return fmt.Errorf("%d of 6 pods are ready elsewhere", len(ready))
			}
			return nil
		})
		if pods, err := lost.Runtime.Pods(t.Context()); err != nil || len(pods) != 2 {
			t.Errorf("the node that is cut off runs %d pods, %v", len(pods), err)
		}
		lost.Heal()
		c.WaitNodes()
		c.Settled(time.Minute)
		c.EndpointsMatch("web")
	})
}

func TestNodeCutOffForAMinuteKeepsItsPods(t *testing.T) {
	simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, sim.Deployment("web", 4))
		sim.Create(c, sim.Service("web"))
		c.Settled(10 * time.Second)
		before := containers(t, c)
		for range 3 {
			c.Nodes[0].Cut()
			time.Sleep(time.Minute)
			if ready := must(c.ReadyEndpoints(t.Context(), "web")); len(ready) != 2 {
				t.Errorf("endpoints while a node is cut off: %v", ready)
			}
			c.Nodes[0].Heal()
			c.WaitNodes()
			c.Settled(10 * time.Second)
			c.EndpointsMatch("web")
		}
		sameContainers(t, before, containers(t, c))
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestFiftyNodesRunFiveHundredPods(t *testing.T) {
	simulate(t, 3, 50, func(t *testing.T, c *sim.Cluster) {
		start := time.Now()
		for i := range 5 {
			name := fmt.Sprintf("web%d", i)
			sim.Create(c, sim.Deployment(name, 100))
			sim.Create(c, sim.Service(name))
		}
		c.Settled(time.Minute)
		for i := range 5 {
			name := fmt.Sprintf("web%d", i)
			c.EndpointsMatch(name)
			for node, n := range nodesOf(must(c.Pods(t.Context(), name))) {
				if n > 4 {
					t.Errorf("%d pods of %s are on %s, of 2 if they were spread evenly", n, name, node)
				}
			}
		}
		t.Logf("running after %v", time.Since(start))
	})
}
