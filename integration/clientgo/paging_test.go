package clientgo_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
)

// forgetting is longer than a server remembers changes.
const forgetting = 8 * time.Minute

// tooOld is what Kubernetes says of a continue token whose version is forgotten.
const tooOld = "The provided continue parameter is too old to display a consistent list result. " +
	"You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
	"Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."

// TestPager lists in pages at one version while objects come and go, and whole where
// the version is forgotten meanwhile.
func TestPager(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		api := c.clients(clientHost).CoreV1().ConfigMaps("default")
		c.do(many(0, 1000, makeOne)...)
		pages := 0
		between := func() {}
		list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if pages++; pages == 3 {
				between()
			}
			return api.List(ctx, o)
		})
		list.PageSize = 150
		seen := func() sets.Set[string] {
			t.Helper()
			pages = 0
			names := sets.New[string]()
			whole, _, err := list.List(t.Context(), metav1.ListOptions{LabelSelector: oursOnly})
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range items(t, whole) {
				if names.Has(item.GetName()) {
					t.Errorf("%s was listed twice", item.GetName())
				}
				names.Insert(item.GetName())
			}
			return names
		}
		between = func() {
			c.do(many(900, 1000, removeOne)...)
			c.do(many(1000, 1100, makeOne)...)
		}
		if names := seen(); len(names) != 1000 || !names.Has("m00950") || names.Has("m01050") || pages != 7 {
			t.Errorf("%d objects in %d pages, m00950: %t, m01050: %t", len(names), pages, names.Has("m00950"), names.Has("m01050"))
		}
		between = func() {
			c.do(many(0, 10, removeOne)...)
			time.Sleep(forgetting)
		}
		if names := seen(); len(names) != 990 || names.Has("m00001") {
			t.Errorf("%d objects, m00001: %t", len(names), names.Has("m00001"))
		}
	})
}

// TestForgotten goes on from versions that the server has forgotten.
func TestForgotten(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		api := c.clients(clientHost).CoreV1().ConfigMaps("default")
		c.do(many(0, 20, makeOne)...)
		first, err := api.List(t.Context(), metav1.ListOptions{Limit: 5})
		if err != nil || first.Continue == "" || first.RemainingItemCount == nil || *first.RemainingItemCount != 16 {
			t.Fatalf("%d of 21, more at %q, %v remain, %v", len(first.Items), first.Continue, first.RemainingItemCount, err)
		}
		c.do(removeOne("m00010"))
		time.Sleep(forgetting)
		_, err = api.List(t.Context(), metav1.ListOptions{Limit: 5, Continue: first.Continue})
		var status apierrors.APIStatus
		if !errors.As(err, &status) || !apierrors.IsResourceExpired(err) || status.Status().Message != tooOld || status.Status().Continue == "" {
			t.Fatalf("continued: %v", err)
		}
		rest, err := api.List(t.Context(), metav1.ListOptions{Continue: status.Status().Continue})
		if err != nil || len(rest.Items) != 15 || rest.Continue != "" || rest.ResourceVersion == first.ResourceVersion {
			t.Errorf("the rest: %d at %s, %v", len(rest.Items), rest.ResourceVersion, err)
		}
		_, err = api.List(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
		if !apierrors.IsResourceExpired(err) {
			t.Errorf("list at a forgotten version: %v", err)
		}
		old, err := api.Watch(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
		if err != nil {
			t.Fatal(err)
		}
		defer old.Stop()
		e := <-old.ResultChan()
		if said, ok := e.Object.(*metav1.Status); e.Type != watch.Error || !ok || said.Reason != metav1.StatusReasonExpired || said.Code != 410 {
			t.Errorf("watch from a forgotten version: %+v", e)
		}
	})
}

// TestRetryWatcher goes on where it was over a server that is killed, and bookmarks
// keep its version young while nothing happens to what it watches.
func TestRetryWatcher(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		api := c.clients(clientHost).CoreV1().ConfigMaps("default")
		list, err := api.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		watcher, err := watchtools.NewRetryWatcherWithContext(t.Context(), list.ResourceVersion, listWatch(api, "metadata.name=m00000"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			watcher.Stop()
			<-watcher.Done()
		}()
		next := func(want watch.EventType) {
			t.Helper()
			for e := range watcher.ResultChan() {
				if e.Type == watch.Bookmark {
					continue
				}
				if e.Type != want {
					t.Fatalf("%+v, want %s", e, want)
				}
				return
			}
		}
		c.do(makeOne("m00000"))
		next(watch.Added)
		for range 3 { // Others change, and what was at the beginning is forgotten.
			time.Sleep(forgetting)
			c.do(makeOne("m00001"), removeOne("m00001"))
		}
		c.Servers[0].Kill()
		c.Servers[0].Start()
		c.Servers[0].WaitReady()
		c.do(changeOne("m00000"))
		next(watch.Modified)
		c.do(removeOne("m00000"))
		next(watch.Deleted)
	})
}

func listWatch(api typedcorev1.ConfigMapInterface, field string) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = field
			return api.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = field
			return api.Watch(ctx, o)
		},
	}
}

// TestUntil waits for what an object becomes, as kubectl wait does.
func TestUntil(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		api := c.clients(clientHost).CoreV1().ConfigMaps("default")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() {
			time.Sleep(10 * time.Minute)
			c.do(makeOne("m00000"))
			time.Sleep(10 * time.Minute)
			c.do(changeOne("m00000"))
		}()
		absent := func(store cache.Store) (bool, error) { return false, nil }
		e, err := watchtools.UntilWithSync(ctx, listWatch(api, "metadata.name=m00000"), &corev1.ConfigMap{}, absent, func(e watch.Event) (bool, error) {
			return e.Object.(*corev1.ConfigMap).Data["v"] == "second", nil
		})
		if err != nil || e.Type != watch.Modified {
			t.Errorf("%+v, %v", e, err)
		}
	})
}
