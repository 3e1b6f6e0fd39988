package informer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func configMap(name, app string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": app}}}
}

func create(t *testing.T, c *sdk.Client, name, app string) *corev1.ConfigMap {
	t.Helper()
	cm, err := sdk.Create(t.Context(), c, configMap(name, app))
	if err != nil {
		t.Fatal(err)
	}
	return cm
}

func remove(t *testing.T, c *sdk.Client, name string) {
	t.Helper()
	if err := sdk.Delete[*corev1.ConfigMap](t.Context(), c, "default", name, sdk.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// journal notes what a handler was told.
type journal struct{ lines []string }

func (j *journal) note(old, new *corev1.ConfigMap) {
	switch {
	case old == nil:
		j.lines = append(j.lines, "+"+new.Name)
	case new == nil:
		j.lines = append(j.lines, "-"+old.Name)
	default:
		j.lines = append(j.lines, "~"+new.Name)
	}
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(j.lines, want) {
		t.Errorf("told %v, want %v", j.lines, want)
	}
	j.lines = nil
}

// run starts an informer and ends it, checking for modified objects, with the test.
func run(t *testing.T, c *sdk.Client, opts informer.Options) *informer.Informer[*corev1.ConfigMap] {
	t.Helper()
	opts.TrackMutations = true
	in := informer.New[*corev1.ConfigMap](c, opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if m := in.CheckUnmodified(); len(m) > 0 {
			t.Errorf("shared objects were modified: %v", m)
		}
	})
	return in
}

func TestFollowsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "a", "x")
		in, j := run(t, c, informer.Options{Namespace: "default"}), &journal{}
		in.OnChange(j.note)
		in.AddIndex("app", func(cm *corev1.ConfigMap) []string { return []string{cm.Labels["app"]} })
		if err := in.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		create(t, c, "b", "x")
		j.expect(t, "+a", "+b")
		b, _ := in.Get("default", "b")
		change := b.DeepCopy()
		change.Labels["app"] = "y"
		if _, err := sdk.Update(t.Context(), c, change); err != nil {
			t.Fatal(err)
		}
		remove(t, c, "a")
		j.expect(t, "~b", "-a")
		if got := in.ByIndex("app", "y"); len(got) != 1 || got[0].Name != "b" || len(in.ByIndex("app", "x")) != 0 {
			t.Errorf("index: x %v, y %v", in.ByIndex("app", "x"), got)
		}
		if got := in.ByIndexAny("app", "x", "y", "y"); len(got) != 1 {
			t.Errorf("index: x or y %v, want one object once", got)
		}
		if _, ok := in.Get("default", "a"); ok || in.Len() != 1 {
			t.Error("a deleted object is still cached")
		}
		late := &journal{}
		stop := in.OnChange(late.note)
		late.expect(t, "+b")
		stop()
		create(t, c, "d", "x")
		late.expect(t)
		j.expect(t, "+d")
	})
}

func TestSelectorsHideWhatLeavesTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		in, j := run(t, c, informer.Options{LabelSelector: "app=x"}), &journal{}
		in.OnChange(j.note)
		cm := create(t, c, "a", "x")
		create(t, c, "b", "y")
		j.expect(t, "+a")
		cm.Labels["app"] = "y"
		if _, err := sdk.Update(t.Context(), c, cm); err != nil {
			t.Fatal(err)
		}
		j.expect(t, "-a")
	})
}

// TestTellsWhatHappenedWhileAway cuts the only server off, forgets the past, and
// checks that the relist is told as differences.
func TestTellsWhatHappenedWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t, "s1", "s2")
		watching := cluster.Client(t, func(cfg *sdk.Config) { cfg.Servers = []string{"s1"} })
		c := cluster.Client(t, func(cfg *sdk.Config) { cfg.Servers = []string{"s2"} })
		for _, n := range []string{"gone", "kept", "remade"} {
			create(t, c, n, "x")
		}
		in, j := run(t, watching, informer.Options{}), &journal{}
		in.OnChange(j.note)
		j.expect(t, "+gone", "+kept", "+remade")

		cluster.Stop("s1")
		remove(t, c, "gone")
		remove(t, c, "remade")
		create(t, c, "remade", "x")
		create(t, c, "new", "x")
		cluster.Compact()
		time.Sleep(10 * time.Second)
		j.expect(t)
		if in.Len() != 3 {
			t.Errorf("the cache changed while no server answered: %d objects", in.Len())
		}
		cluster.Start("s1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		slices.Sort(j.lines)
		j.expect(t, "+new", "+remade", "-gone", "-remade")
	})
}

func TestResumesWithoutListingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t, "s1", "s2")
		c := cluster.Client(t)
		in, j := run(t, c, informer.Options{}), &journal{}
		in.OnChange(j.note)
		create(t, c, "a", "x")
		j.expect(t, "+a")
		used := c.Server()
		cluster.Stop(used)
		time.Sleep(time.Second)
		cluster.Start(used)
		create(t, c, "b", "x")
		time.Sleep(time.Second)
		j.expect(t, "+b")
	})
}

func TestRunEndsWhenTheAnswerStaysNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		failures := 0
		cluster.Fail(func(method string, _ any) error {
			if failures++; failures < 4 {
				return sdktest.Refuse(apierrors.NewInternalError(errors.New("for now")))
			}
			return sdktest.Refuse(apierrors.NewForbidden(corev1.Resource("configmaps"), "", fmt.Errorf("not yours")))
		})
		in := informer.New[*corev1.ConfigMap](cluster.Client(t), informer.Options{})
		if err := in.Run(t.Context()); !apierrors.IsForbidden(err) || failures != 4 {
			t.Errorf("Run after %d calls: %v, want Forbidden after 4", failures, err)
		}
	})
}

func TestFindsModifiedObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "a", "x")
		in := informer.New[*corev1.ConfigMap](c, informer.Options{TrackMutations: true})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		if err := in.WaitSynced(ctx); err != nil {
			t.Fatal(err)
		}
		cm, _ := in.Get("default", "a")
		cm.Labels["app"] = "spoilt"
		if got := in.CheckUnmodified(); !slices.Equal(got, []string{"default/a"}) {
			t.Errorf("CheckUnmodified: %v", got)
		}
		cancel()
		<-done
	})
}
