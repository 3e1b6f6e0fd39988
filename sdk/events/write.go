package events

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
)

// gather takes what else is queued, as far as it goes into one transaction; the
// same event comes once, with its count.
func (r *Recorder) gather(first *corev1.Event) []*corev1.Event {
	out := []*corev1.Event{first}
	at := map[types.NamespacedName]int{nameOf(first): 0}
	for len(out) < batchLength {
		select {
		case ev := <-r.queue:
			if i, again := at[nameOf(ev)]; again {
				out[i].Count++
				out[i].LastTimestamp = ev.LastTimestamp
				continue
			}
			at[nameOf(ev)] = len(out)
			out = append(out, ev)
		default:
			return out
		}
	}
	return out
}

func nameOf(ev *corev1.Event) types.NamespacedName {
	return types.NamespacedName{Namespace: ev.Namespace, Name: ev.Name}
}

// write stores events in one transaction where nothing is refused.
func (r *Recorder) write(ctx context.Context, events []*corev1.Event) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	ops, counts := make([]sdk.Operation, len(events)), make([]int32, len(events))
	for i, ev := range events {
		ops[i], counts[i] = r.operation(ev)
	}
	for i, err := range r.cfg.Client.TransactEach(ctx, ops...) {
		ev := events[i]
		switch {
		case err == nil:
			r.counts.Add(nameOf(ev), counts[i])
			continue
		case apierrors.IsNotFound(err):
			// The event, or its namespace, is gone: it is tried once more as a new one.
			r.counts.Remove(nameOf(ev))
			_, err = sdk.Create(ctx, r.cfg.Client, ev)
		case apierrors.IsAlreadyExists(err):
			// Written before this recorder was made.
			err = r.adopt(ctx, ev)
		}
		if err != nil && ctx.Err() == nil {
			r.log.Warn("event not written", "event", ev.Namespace+"/"+ev.Name, "reason", ev.Reason, "error", err)
		}
	}
}

// operation creates an event or, where this recorder wrote it before, raises its
// count; it returns the count to remember.
func (r *Recorder) operation(ev *corev1.Event) (sdk.Operation, int32) {
	have, known := r.counts.Get(nameOf(ev))
	if !known {
		return sdk.CreateOp(ev), ev.Count
	}
	count := have.(int32) + ev.Count
	return sdk.PatchOp[*corev1.Event](ev.Namespace, ev.Name, "", types.MergePatchType, raise(ev, count)), count
}

func (r *Recorder) adopt(ctx context.Context, ev *corev1.Event) error {
	have, err := sdk.Get[*corev1.Event](ctx, r.cfg.Client, ev.Namespace, ev.Name)
	if err != nil {
		return err
	}
	count := have.Count + ev.Count
	_, err = sdk.Patch[*corev1.Event](ctx, r.cfg.Client, ev.Namespace, ev.Name, "", types.MergePatchType, raise(ev, count))
	if err == nil {
		r.counts.Add(nameOf(ev), count)
	}
	return err
}

func raise(ev *corev1.Event, count int32) []byte {
	raw, err := json.Marshal(map[string]any{"count": count, "lastTimestamp": ev.LastTimestamp})
	if err != nil {
		// A number and a time always marshal.
		panic(err)
	}
	return raw
}
