package replicaset

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
)

type noEvents struct{}

func (noEvents) Event(sdk.Object, string, string, string, ...any) {}

func TestPending(t *testing.T) {
	p, now := newPending(), time.Unix(1000, 0)
	keep := func(types.UID) bool { return true }
	p.forget("unknown", "a")
	p.stays("unknown", []types.UID{"1"})
	if len(p.sets) != 0 {
		t.Error("taking back what was never asked is remembered")
	}
	p.creating("s", []string{"a", "b"}, now)
	p.forget("s", "a")
	if got := p.coming("s"); len(got) != 1 || got["b"] != now {
		t.Errorf("coming: %v, want b", got)
	}
	p.deleting("s", []types.UID{"1", "2", "3"}, now)
	p.stays("s", []types.UID{"1"})
	if got := p.going("s", func(uid types.UID) bool { return uid != "2" }, now); len(got) != 1 || !got["3"] {
		t.Errorf("going: %v, want 3", got)
	}
	if got := p.going("s", keep, now.Add(doubtAfter+1)); len(got) != 0 {
		t.Errorf("going: %v, long after they were asked to", got)
	}
	if !p.waiting("s") {
		t.Error("b has not been seen, and is not waited for")
	}
	p.drop("s")
	if p.waiting("s") || len(p.sets) != 0 {
		t.Error("a dropped set is remembered")
	}
}

// TestSetThatGoesDuringItsRoundIsForgotten deletes a set just before the first
// of its pods is made; the second comes in a batch of its own.
func TestSetThatGoesDuringItsRoundIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		client := cluster.Client(t)
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		c := New(client, caches, noEvents{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- caches.Run(ctx) }()
		defer func() { cancel(); <-done }()
		set, err := sdk.Create(ctx, client, &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"},
			Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "s"}},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "s"}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cluster.Fail(func(_ string, req any) error {
			if _, ok := req.(*apiv1.TransactRequest); !ok || c.sets.Len() == 0 {
				return nil
			}
			err := sdk.Delete[*appsv1.ReplicaSet](ctx, client, "a", "s", sdk.DeleteOptions{UID: set.UID})
			for i := 0; i < 100 && c.sets.Len() > 0; i++ {
				time.Sleep(10 * time.Millisecond)
			}
			return err
		})
		if _, err := c.Reconcile(ctx, controller.Request{Namespace: "a", Name: "s"}); err != nil {
			t.Fatal(err)
		}
		if n := len(c.pending.sets); n != 0 {
			t.Errorf("%d sets are remembered, and none is there", n)
		}
	})
}
