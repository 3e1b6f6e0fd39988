package node_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager/node"
)

// told keeps the reasons of events.
type told struct{ reasons []string }

// Event implements node.Recorder.
func (r *told) Event(_ sdk.Object, _, reason, _ string, _ ...any) {
	r.reasons = append(r.reasons, reason)
}

// TestOnlyWantOfNetworksIsTold has a cluster network with room for one node.
func TestOnlyWantOfNetworksIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		client := cluster.Client(t)
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		var events told
		c := node.New(client, caches, &events, netip.MustParsePrefix("10.244.0.0/24"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- caches.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for _, name := range []string{"first", "second"} {
			if _, err := sdk.Create(ctx, client, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		busy := true
		cluster.Fail(func(method string, _ any) error {
			if busy && strings.HasSuffix(method, "/Update") {
				busy = false
				_, err := sdk.MergePatch[*corev1.Node](ctx, client, "", "first", "", map[string]any{"metadata": map[string]any{"labels": map[string]string{"a": "b"}}})
				return err
			}
			return nil
		})
		_, err := c.Reconcile(ctx, controller.Request{Name: "first"})
		if !apierrors.IsConflict(err) || len(events.reasons) != 0 {
			t.Errorf("written meanwhile: %v, told %v", err, events.reasons)
		}
		if _, err := c.Reconcile(ctx, controller.Request{Name: "first"}); err != nil {
			t.Errorf("the next round: %v", err)
		}
		synctest.Wait() // the cache has the first one's network
		result, err := c.Reconcile(ctx, controller.Request{Name: "second"})
		if err != nil || !slices.Equal(events.reasons, []string{"CIDRNotAvailable"}) {
			t.Errorf("no network left: %v, told %v", err, events.reasons)
		}
		for round := 1; result.RequeueAfter == 0 && err == nil && round < 3; round++ {
			synctest.Wait()
			result, err = c.Reconcile(ctx, controller.Request{Name: "second"})
		}
		if err != nil || result.RequeueAfter == 0 {
			t.Errorf("it is never asked again: %+v, %v", result, err)
		}
		second, err := sdk.Get[*corev1.Node](ctx, client, "", "second")
		if err != nil || len(second.Spec.Taints) == 0 {
			t.Errorf("a node that is not ready, without a network: taints %v, %v", second.Spec.Taints, err)
		}
	})
}
