package controller_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// copier is a controller that is what its fields say.
type copier struct {
	name    string
	inputs  []controller.Input
	outputs []string
	do      func(ctx context.Context, req controller.Request) (controller.Result, error)
}

func (c *copier) Name() string               { return c.name }
func (c *copier) Inputs() []controller.Input { return c.inputs }
func (c *copier) Outputs() []string          { return c.outputs }
func (c *copier) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	return c.do(ctx, req)
}

// calls counts reconciliations by key.
type calls struct {
	mu sync.Mutex
	by map[string]int
}

func (c *calls) add(req controller.Request) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[req.Name]++
	return c.by[req.Name]
}

func (c *calls) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[name]
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
}

// run starts the caches and the runner; stop waits for both.
func run(t *testing.T, c *sdk.Client, makers ...func(*controller.Caches) controller.Controller) (r *controller.Runner, stop func()) {
	t.Helper()
	caches := controller.NewCaches(controller.CachesConfig{Client: c, TrackMutations: true})
	var all []controller.Controller
	for _, m := range makers {
		all = append(all, m(caches))
	}
	r, err := controller.NewRunner(controller.RunnerConfig{Controllers: all, Caches: caches})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return caches.Run(gctx) })
	g.Go(func() error { return r.Run(gctx) })
	return r, func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if m := caches.CheckUnmodified(); len(m) > 0 {
			t.Errorf("shared objects were modified: %v", m)
		}
	}
}

func create(t *testing.T, c *sdk.Client, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := sdk.Create(t.Context(), c, configMap(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReconcilesFromASharedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "a")
		var first, second calls
		maker := func(name string, n *calls) func(*controller.Caches) controller.Controller {
			return func(caches *controller.Caches) controller.Controller {
				maps := controller.Cache[*corev1.ConfigMap](caches)
				return &copier{name: name, inputs: []controller.Input{controller.For(controller.Self[*corev1.ConfigMap]), controller.Reads[*corev1.Pod]()},
					do: func(_ context.Context, req controller.Request) (controller.Result, error) {
						if _, ok := maps.Get(req.Namespace, req.Name); !ok {
							t.Errorf("%s is reconciled before it is cached", req.Name)
						}
						n.add(req)
						return controller.Result{}, nil
					}}
			}
		}
		cluster := c
		r, stop := run(t, cluster, maker("one", &first), maker("two", &second))
		defer stop()
		synctest.Wait()
		create(t, c, "b")
		synctest.Wait()
		for _, n := range []*calls{&first, &second} {
			if n.of("a") != 1 || n.of("b") != 1 {
				t.Errorf("reconciled %v", n.by)
			}
		}
		s := r.Stats()
		if len(s) != 2 || s[0].Name != "one" || s[0].Reconciled != 2 || s[0].Failed != 0 || s[0].Queued != 0 ||
			strings.Join(s[0].Inputs, " ") != "k8s.io.api.core.v1.ConfigMap k8s.io.api.core.v1.Pod" {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestFailuresAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "fails", "panics", "returns")
		var n calls
		r, stop := run(t, c, func(*controller.Caches) controller.Controller {
			return &copier{name: "x", inputs: []controller.Input{controller.For(controller.Self[*corev1.ConfigMap])},
				do: func(_ context.Context, req controller.Request) (controller.Result, error) {
					times := n.add(req)
					switch {
					case req.Name == "fails":
						return controller.Result{}, errors.New("no luck")
					case req.Name == "panics" && times == 1:
						panic("oops")
					case req.Name == "returns" && times == 1:
						return controller.Result{RequeueAfter: time.Hour}, nil
					}
					return controller.Result{}, nil
				}}
		})
		defer stop()
		time.Sleep(time.Minute)
		if got := n.of("panics"); got != 2 {
			t.Errorf("after a panic: %d rounds, want 2", got)
		}
		if got := n.of("fails"); got < 10 || got > 20 {
			t.Errorf("%d rounds of a failing key in a minute, want back-off from 5 ms", got)
		}
		if s := r.Stats()[0]; s.LastError != "default/fails: no luck" || s.Failed < 11 || s.LastErrorTime.IsZero() {
			t.Errorf("stats %+v", s)
		}
		if n.of("returns") != 1 {
			t.Error("came back too early")
		}
		time.Sleep(time.Hour)
		if n.of("returns") != 2 {
			t.Error("did not come back after an hour")
		}
	})
}

func TestRunsAgainAfterItLostTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "a")
		var n calls
		caches := controller.NewCaches(controller.CachesConfig{Client: c})
		r, err := controller.NewRunner(controller.RunnerConfig{Caches: caches, Controllers: []controller.Controller{
			&copier{name: "x", inputs: []controller.Input{controller.For(controller.Self[*corev1.ConfigMap])},
				do: func(_ context.Context, req controller.Request) (controller.Result, error) {
					n.add(req)
					return controller.Result{}, nil
				}}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- caches.Run(ctx) }()
		for term := 1; term <= 2; term++ {
			tctx, end := context.WithTimeout(ctx, time.Second)
			if err := r.Run(tctx); err != nil {
				t.Error(err)
			}
			end()
			if n.of("a") != term {
				t.Errorf("%d rounds after term %d", n.of("a"), term)
			}
		}
		create(t, c, "b")
		synctest.Wait()
		if n.of("b") != 0 {
			t.Error("reconciled while not running")
		}
		cancel()
		<-done
	})
}

func TestDeclarationsAreChecked(t *testing.T) {
	for _, tc := range []struct {
		name string
		a, b *copier
		ok   bool
	}{
		{"different", &copier{name: "a", outputs: []string{"pods"}}, &copier{name: "b", outputs: []string{"pods/status"}}, true},
		{"same name", &copier{name: "a"}, &copier{name: "a"}, false},
		{"same output", &copier{name: "a", outputs: []string{"pods"}}, &copier{name: "b", outputs: []string{"pods"}}, false},
		{"shared by both", &copier{name: "a", outputs: []string{controller.Shared("pods")}}, &copier{name: "b", outputs: []string{controller.Shared("pods")}}, true},
		{"shared by one", &copier{name: "a", outputs: []string{controller.Shared("pods")}}, &copier{name: "b", outputs: []string{"pods"}}, false},
	} {
		_, err := controller.NewRunner(controller.RunnerConfig{
			Caches: controller.NewCaches(controller.CachesConfig{}), Controllers: []controller.Controller{tc.a, tc.b}})
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
