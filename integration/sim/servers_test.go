package sim_test

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/sdk"
)

// longestGap is how long no write may be acknowledged when a server is lost.
const longestGap = 1500 * time.Millisecond

func TestLeaderKilledWhileWritersRun(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		w := c.Write(8, 20*time.Millisecond)
		w.Await(200)
		leader := c.Leader()
		leader.Kill()
		w.Await(200)
		leader.Start()
		leader.WaitReady()
		w.Await(200)
		w.Stop()
		w.CheckKept()
		c.SameState()
		t.Logf("longest gap %v", w.Gap())
		if gap := w.Gap(); gap > longestGap {
			t.Errorf("no write was acknowledged for %v", gap)
		}
	})
}

func TestLeaderCutOffAndHealed(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"}, Data: map[string]string{"v": "old"}})
		w := c.Write(8, 20*time.Millisecond)
		w.Await(200)
		leader := c.Leader()
		local := leader.Client(leader.Host) // over the loopback, which no cut reaches
		defer local.Close()
		leader.Cut()
		w.Await(200)
		c.Eventually(10*time.Second, func(ctx context.Context) error { // the client may have to find another server first
			_, err := sdk.MergePatch[*corev1.ConfigMap](ctx, c.Client, "default", "m", "", map[string]any{"data": map[string]string{"v": "new"}})
			return err
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if m, err := sdk.Get[*corev1.ConfigMap](ctx, local, "default", "m"); err == nil {
			t.Errorf("the old leader answered a read with %q", m.Data["v"])
		}
		leader.Heal()
		m, err := sdk.Get[*corev1.ConfigMap](t.Context(), local, "default", "m")
		if err != nil || m.Data["v"] != "new" {
			t.Errorf("after the cut the old leader answers %v, %v", m, err)
		}
		w.Await(200)
		w.Stop()
		w.CheckKept()
		c.SameState()
		t.Logf("longest gap %v", w.Gap())
		if gap := w.Gap(); gap > longestGap {
			t.Errorf("no write was acknowledged for %v", gap)
		}
	})
}

func TestAllServersRestartAtOnce(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(*sim.Server)
	}{{"in order", (*sim.Server).Stop}, {"killed", (*sim.Server).Kill}} {
		t.Run(how.name, func(t *testing.T) {
			simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
				sim.Create(c, sim.Deployment("web", 4))
				c.Settled(10 * time.Second)
				before := containers(t, c)
				w := c.Write(4, 20*time.Millisecond)
				w.Await(100)
				for _, s := range c.Servers {
					how.end(s)
				}
				for _, s := range c.Servers {
					s.Start()
				}
				w.Await(100)
				w.Stop()
				w.CheckKept()
				c.WaitNodes()
				c.Settled(30 * time.Second)
				c.SameState()
				sameContainers(t, before, containers(t, c))
			})
		})
	}
}

func TestRolloutGoesOnWhenItsLeaderDies(t *testing.T) {
	simulate(t, 3, 2, func(t *testing.T, c *sim.Cluster) {
		sim.Create(c, sim.Deployment("web", 8))
		c.Settled(30 * time.Second)
		for _, lease := range []string{"kube-controller-manager", "kube-scheduler"} {
			c.Change("web", func(d *appsv1.Deployment) {
				image := &d.Spec.Template.Spec.Containers[0].Image
				*image = map[string]string{"whoami:1": "whoami:2", "whoami:2": "whoami:1"}[*image]
			})
			c.Eventually(time.Minute, func(ctx context.Context) error {
				d, err := sdk.Get[*appsv1.Deployment](ctx, c.Client, "default", "web")
				if err == nil && d.Status.UpdatedReplicas == 0 {
					err = errNotYet
				}
				return err
			})
			holder := c.Holder(lease)
			holder.Kill()
			c.Settled(time.Minute)
			holder.Start()
			holder.WaitReady()
			c.SameState()
		}
	})
}
