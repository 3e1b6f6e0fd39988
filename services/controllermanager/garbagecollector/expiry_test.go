package garbagecollector

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
)

func event(name string, edit func(*corev1.Event)) *corev1.Event {
	e := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
	edit(e)
	return e
}

func TestExpired(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	old, recent := now.Add(-eventLife), now.Add(-eventLife+10*time.Minute)
	gone, next := Expired([]*corev1.Event{
		event("old", func(e *corev1.Event) { e.CreationTimestamp.Time = old }),
		event("seen again", func(e *corev1.Event) { e.CreationTimestamp.Time, e.LastTimestamp.Time = old, now }),
		event("of the new API", func(e *corev1.Event) { e.CreationTimestamp.Time, e.EventTime.Time = old, recent }),
		event("in a series", func(e *corev1.Event) {
			e.CreationTimestamp.Time, e.Series = old, &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(now)}
		}),
	}, now)
	if len(gone) != 1 || gone[0].Name != "old" || next != 10*time.Minute {
		t.Errorf("%d gone, next after %s", len(gone), next)
	}
	if gone, next := Expired(nil, now); gone != nil || next != 0 {
		t.Errorf("of nothing: %v, %s", gone, next)
	}
}

func TestNamespacesWithoutEventsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		expiry := NewExpiry(client, caches)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- caches.Run(ctx) }()
		defer func() { cancel(); <-done }()
		created, err := sdk.Create(ctx, client, event("e", func(*corev1.Event) {}))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			synctest.Wait()
			if _, err := expiry.Reconcile(ctx, controller.Request{Namespace: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		if len(expiry.swept) != 1 {
			t.Errorf("remembers %v, want the one namespace", expiry.swept)
		}
		if err := sdk.Delete[*corev1.Event](ctx, client, "a", "e", sdk.DeleteOptions{UID: created.UID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(sweep)
		if _, err := expiry.Reconcile(ctx, controller.Request{Namespace: "a"}); err != nil {
			t.Fatal(err)
		}
		if len(expiry.swept) != 0 {
			t.Errorf("remembers %v of namespaces without events", expiry.swept)
		}
	})
}
