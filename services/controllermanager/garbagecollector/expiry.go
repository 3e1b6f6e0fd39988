package garbagecollector

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
)

const (
	// eventLife is how long an event is kept after it was last seen, Kubernetes' default.
	eventLife = time.Hour
	// sweep is the shortest time between two rounds: events go in batches.
	sweep = time.Minute
	// batch is how many events one transaction deletes.
	batch = 500
)

// Expired returns the events that were last seen longer ago than they are kept,
// and when the next one will be; 0 when there is none.
func Expired(events []*corev1.Event, now time.Time) (gone []*corev1.Event, next time.Duration) {
	for _, e := range events {
		left := lastSeen(e).Add(eventLife).Sub(now)
		switch {
		case left <= 0:
			gone = append(gone, e)
		case next == 0 || left < next:
			next = left
		}
	}
	return gone, next
}

// lastSeen is the latest of the times that an event of either API version holds.
func lastSeen(e *corev1.Event) time.Time {
	latest := e.CreationTimestamp.Time
	times := []time.Time{e.LastTimestamp.Time, e.EventTime.Time}
	if e.Series != nil {
		times = append(times, e.Series.LastObservedTime.Time)
	}
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// Expiry deletes events that have outlived their use, namespace by namespace.
type Expiry struct {
	client *sdk.Client
	events lookup.ByNamespace[*corev1.Event]

	mu    sync.Mutex
	swept map[string]time.Time // by namespace
}

// NewExpiry makes the controller; call it before the caches run.
func NewExpiry(client *sdk.Client, caches *controller.Caches) *Expiry {
	return &Expiry{client: client, events: lookup.Namespaces[*corev1.Event](caches), swept: map[string]time.Time{}}
}

// Name implements controller.Controller.
func (e *Expiry) Name() string { return "eventexpiry" }

// Inputs implements controller.Controller.
func (e *Expiry) Inputs() []controller.Input {
	return []controller.Input{controller.For(func(ev *corev1.Event) []controller.Request {
		return []controller.Request{{Namespace: ev.Namespace}}
	})}
}

// Outputs implements controller.Controller.
func (e *Expiry) Outputs() []string { return []string{"events"} }

// Reconcile implements controller.Controller.
func (e *Expiry) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	now := time.Now()
	if wait := e.untilSweep(req.Namespace, now); wait > 0 {
		return controller.Result{RequeueAfter: wait}, nil
	}
	events := e.events.In(req.Namespace)
	if len(events) == 0 {
		e.forget(req.Namespace)
		return controller.Result{}, nil
	}
	gone, next := Expired(events, now)
	for chunk := range slices.Chunk(gone, batch) {
		if err := e.remove(ctx, chunk); err != nil {
			return controller.Result{}, err
		}
	}
	if next > 0 {
		next = max(next, sweep)
	}
	return controller.Result{RequeueAfter: next}, nil
}

// untilSweep keeps a flood of events from causing as many sweeps: it is the time
// until the namespace is due, and 0 begins a sweep.
func (e *Expiry) untilSweep(namespace string, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if wait := e.swept[namespace].Add(sweep).Sub(now); wait > 0 {
		return wait
	}
	e.swept[namespace] = now
	return 0
}

// forget drops a namespace without events, which may be gone itself.
func (e *Expiry) forget(namespace string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.swept, namespace)
}

func (e *Expiry) remove(ctx context.Context, events []*corev1.Event) error {
	ops := make([]sdk.Operation, 0, len(events))
	for _, ev := range events {
		ops = append(ops, sdk.DeleteOp[*corev1.Event](ev.Namespace, ev.Name, sdk.DeleteOptions{UID: ev.UID, ResourceVersion: ev.ResourceVersion}))
	}
	_, err := e.client.Transact(ctx, ops...)
	if !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	// One of them was seen again or has gone: the others still have to go.
	for _, ev := range events {
		err := sdk.Delete[*corev1.Event](ctx, e.client, ev.Namespace, ev.Name, sdk.DeleteOptions{UID: ev.UID, ResourceVersion: ev.ResourceVersion})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}
