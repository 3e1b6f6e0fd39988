package events

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
)

// nameTries is how many names are tried for one event: another recorder may have
// told of the same object in the same nanosecond.
const nameTries = 4

// gather takes what else is queued, as far as it goes into one transaction; the
// same event comes once, with its count.
func (r *Recorder) gather(first *entry) []*entry {
	out := []*entry{first}
	at := map[uint64]int{first.key: 0}
	for len(out) < batchLength {
		select {
		case e := <-r.queue:
			if i, again := at[e.key]; again {
				out[i].event.Count++
				out[i].event.LastTimestamp = e.event.LastTimestamp
				continue
			}
			at[e.key] = len(out)
			out = append(out, e)
		default:
			return out
		}
	}
	return out
}

// write stores events in one transaction where nothing is refused.
func (r *Recorder) write(ctx context.Context, batch []*entry) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	ops, done := make([]sdk.Operation, len(batch)), make([]written, len(batch))
	for i, e := range batch {
		ops[i], done[i] = r.operation(e)
	}
	for i, err := range r.cfg.Client.TransactEach(ctx, ops...) {
		e := batch[i]
		switch {
		case err == nil:
			r.written.Add(e.key, done[i])
			continue
		case apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err):
			// The event, or its namespace, is gone; or the name is taken.
			r.written.Remove(e.key)
			err = r.create(ctx, e)
		}
		if err != nil && ctx.Err() == nil {
			ev := e.event
			r.log.Warn("event not written", "event", ev.Namespace+"/"+ev.Name, "reason", ev.Reason, "error", err)
		}
	}
}

// operation creates an event or, where this recorder wrote it before, raises its
// count; it returns what to remember.
func (r *Recorder) operation(e *entry) (sdk.Operation, written) {
	ev := e.event
	have, known := r.written.Get(e.key)
	if !known {
		ev.Name = r.name(e)
		return sdk.CreateOp(ev), written{ev.Name, ev.Count}
	}
	now := have.(written)
	now.count += ev.Count
	return sdk.PatchOp[*corev1.Event](ev.Namespace, now.name, "", types.MergePatchType, raise(ev, now.count)), now
}

func (r *Recorder) create(ctx context.Context, e *entry) (err error) {
	for range nameTries {
		e.event.Name = r.name(e)
		_, err = sdk.Create(ctx, r.cfg.Client, e.event)
		if err == nil {
			r.written.Add(e.key, written{e.event.Name, e.event.Count})
		}
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
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
