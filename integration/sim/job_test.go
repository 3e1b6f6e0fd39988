package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
)

// simulate runs a scenario over a cluster of its own, in virtual time.
func simulate(t *testing.T, servers, nodes int, scenario func(t *testing.T, c *sim.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		scenario(t, sim.New(t, servers, nodes))
		t.Logf("%v of virtual time", time.Since(start))
	})
}

func TestMainJob(t *testing.T) {
	simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, sim.Deployment("web", 3))
		sim.Create(c, sim.Service("web"))
		c.Settled(10 * time.Second)
		c.EndpointsMatch("web")
		pods, err := c.Pods(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		if on := nodesOf(pods); len(on) != 2 {
			t.Errorf("pods are on %v only", on)
		}
		for _, step := range []struct {
			name   string
			change func(*appsv1.Deployment)
			image  string
		}{
			{"scale up", sim.Scale(5), "whoami:1"},
			{"update", sim.SetImage("whoami:2"), "whoami:2"},
			{"scale down", sim.Scale(2), "whoami:2"},
			{"roll back", sim.SetImage("whoami:1"), "whoami:1"},
		} {
			low := watchAvailability(t, c, "web")
			c.Change("web", step.change)
			c.Settled(30 * time.Second)
			c.EndpointsMatch("web")
			if err := low(); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if err := imagesAre(t, c, step.image); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		}
		sets, err := sdk.List[*appsv1.ReplicaSet](t.Context(), c.Client, sdk.ListOptions{})
		if err != nil || len(sets.Items) != 2 {
			t.Errorf("%d replica sets after a rollback, %v", len(sets.Items), err)
		}
		c.SameState()
	})
}

func nodesOf(pods []*corev1.Pod) map[string]int {
	on := map[string]int{}
	for _, p := range pods {
		on[p.Spec.NodeName]++
	}
	return on
}

func imagesAre(t *testing.T, c *sim.Cluster, image string) error {
	pods, err := c.Pods(t.Context(), "web")
	for _, p := range pods {
		if got := p.Spec.Containers[0].Image; got != image {
			err = errors.Join(err, fmt.Errorf("%s runs %s", p.Name, got))
		}
	}
	return err
}

// watchAvailability looks at every change of a service's endpoints until the
// returned function is called, which says when there were fewer than a rolling
// update of the smaller size may leave: three quarters.
func watchAvailability(t *testing.T, c *sim.Cluster, app string) func() error {
	ctx, cancel := context.WithCancel(t.Context())
	d, err := sdk.Get[*appsv1.Deployment](ctx, c.Client, "default", app)
	if err != nil {
		t.Fatal(err)
	}
	before := int(*d.Spec.Replicas)
	slices := informer.New[*discoveryv1.EndpointSlice](c.Client, informer.Options{})
	fewest := before
	slices.OnChange(func(_, now *discoveryv1.EndpointSlice) {
		if now != nil && now.Labels[discoveryv1.LabelServiceName] == app {
			fewest = min(fewest, len(sim.ReadyIn(now)))
		}
	})
	done := make(chan error, 1)
	go func() { done <- slices.Run(ctx) }()
	if err := slices.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	return func() error {
		d, err := sdk.Get[*appsv1.Deployment](ctx, c.Client, "default", app)
		cancel()
		<-done
		if err != nil {
			return err
		}
		size := min(before, int(*d.Spec.Replicas))
		if least := size - size/4; fewest < least {
			return fmt.Errorf("%d endpoints were ready, of at least %d", fewest, least)
		}
		return nil
	}
}
