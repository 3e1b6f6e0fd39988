package deployment_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/musterhq/muster/services/controllermanager/deployment"
)

// world runs a sim whose statuses lag behind the pods there really are.
type world struct {
	*sim
	actual map[string]actual // by set
}

type actual struct {
	replicas, available int32
	generation          int64
}

// run lets a set's controller act: pods that are too many go, unavailable first.
func (w *world) run(rs *appsv1.ReplicaSet) {
	a := w.actual[rs.Name]
	a.replicas = *rs.Spec.Replicas
	a.available = min(a.available, a.replicas)
	a.generation = rs.Generation
	w.actual[rs.Name] = a
}

// report writes what is into a set's status.
func (w *world) report(i int) {
	rs := w.sets[i].DeepCopy()
	a := w.actual[rs.Name]
	rs.Status = appsv1.ReplicaSetStatus{Replicas: a.replicas, ReadyReplicas: a.available, AvailableReplicas: a.available, ObservedGeneration: a.generation}
	w.sets[i] = rs
}

func (w *world) sums() (asked, available int32) {
	for _, rs := range w.sets {
		asked += *rs.Spec.Replicas
		available += w.actual[rs.Name].available
	}
	return asked, available
}

// TestRolloutIsSafe rolls random deployments through random images while sets
// and statuses lag at random. There are never more pods asked for than the surge
// allows, never fewer available than promised, and it always comes to an end.
func TestRolloutIsSafe(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Int32Range(1, 20).Draw(rt, "replicas")
		surge, unavailable := fencepost(rt, "surge"), fencepost(rt, "unavailable")
		w := &world{sim: newSim(t, n, surge, unavailable), actual: map[string]actual{}}
		w.converge(rt)
		up, down := deployment.Fenceposts(&surge, &unavailable, n)
		check := func(what string) {
			asked, available := w.sums()
			if asked > n+up {
				rt.Fatalf("after %s: %d pods asked for, more than %d+%d: %s", what, asked, n, up, w)
			}
			if available < n-down {
				rt.Fatalf("after %s: %d pods available, fewer than %d-%d: %s", what, available, n, down, w)
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			what := rapid.SampledFrom([]string{"decide", "decide", "decide", "run", "run", "report", "report", "ready", "ready", "image"}).Draw(rt, fmt.Sprint("action", i))
			w.act(rt, what)
			check(what)
		}
		for i := range 40 * int(n+2) {
			if w.done() {
				return
			}
			w.act(rt, []string{"decide", "run", "report", "ready"}[i%4])
			check("end")
		}
		rt.Fatalf("the rollout does not end: %s", w)
	})
}

func fencepost(rt *rapid.T, label string) intstr.IntOrString {
	if rapid.Bool().Draw(rt, label+" in percent") {
		return intstr.FromString(fmt.Sprintf("%d%%", rapid.IntRange(0, 100).Draw(rt, label)))
	}
	return intstr.FromInt32(rapid.Int32Range(0, 5).Draw(rt, label))
}

func (w *world) act(rt *rapid.T, what string) {
	switch what {
	case "decide":
		w.decide()
	case "image":
		w.image(rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(rt, "image"))
	case "run":
		for _, rs := range w.sets {
			if rapid.Bool().Draw(rt, "runs") {
				w.run(rs)
			}
		}
	case "report":
		for i := range w.sets {
			if rapid.Bool().Draw(rt, "reports") {
				w.report(i)
			}
		}
	case "ready":
		for name, a := range w.actual {
			a.available = min(a.replicas, a.available+1)
			w.actual[name] = a
		}
	}
}

// converge brings the first template up in full.
func (w *world) converge(rt *rapid.T) {
	for range 200 {
		w.decide()
		for i, rs := range w.sets {
			w.run(rs)
			a := w.actual[rs.Name]
			a.available = a.replicas
			w.actual[rs.Name] = a
			w.report(i)
		}
		if w.done() {
			return
		}
	}
	rt.Fatalf("the first rollout does not end: %s", w)
}

func (w *world) done() bool {
	st, n := w.d.Status, *w.d.Spec.Replicas
	return st.UpdatedReplicas == n && st.Replicas == n && st.AvailableReplicas == n && st.ObservedGeneration == w.d.Generation &&
		w.set(w.d.Spec.Template.Spec.Containers[0].Image) != nil
}
