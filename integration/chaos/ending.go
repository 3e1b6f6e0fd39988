package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/integration/linear"
	"github.com/musterhq/muster/sdk"
)

// recover waits until every member serves again.
func (r *run) recover(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	if err := r.cluster.Ended(); err != nil {
		r.fail("%v", err)
	}
	var all sync.WaitGroup
	for _, m := range r.cluster.Members() {
		all.Go(func() {
			if err := r.serves(ctx, m); err != nil {
				r.fail("%s does not serve within %v after all was mended: %v", m, recoveryTime, err)
			}
		})
	}
	all.Wait()
}

// serves waits until a member answers a read.
func (r *run) serves(ctx context.Context, member string) error {
	client, err := r.cluster.Dial(member)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return r.insist(ctx, func(ctx context.Context) error {
		_, err := sdk.Get[*corev1.Namespace](ctx, client, "", ranges[0])
		return err
	})
}

// finish writes an end mark to each range, reads everything from every member,
// and waits until the watchers have come to the marks. It returns the revision
// of the first.
func (r *run) finish(ctx context.Context) (until uint64) {
	marks := map[string]uint64{}
	w := r.worker(r.options.Workers)
	defer w.leave()
	for _, namespace := range ranges {
		marks[namespace] = w.mark(namespace + "/" + r.name + "-end")
		if marks[namespace] == 0 {
			r.fail("no write was acknowledged within %v after all was mended", recoveryTime)
			return 0
		}
		if until == 0 {
			until = marks[namespace]
		}
	}
	for _, m := range r.cluster.Members() {
		w.leave()
		var err error
		if w.client, err = r.cluster.Dial(m); err != nil {
			r.fail("%v", err)
			continue
		}
		for _, namespace := range ranges {
			w.request(linear.Request{List: namespace})
		}
	}
	if err := r.awaitWatchers(ctx, func(w *watcher) uint64 { return marks[w.watch.Range] }); err != nil {
		r.fail("%v", err)
	}
	return until
}

// mark writes a key until that is acknowledged, and returns the revision.
func (w *worker) mark(key string) uint64 {
	for start := time.Now(); time.Since(start) < recoveryTime; {
		for _, verb := range []linear.Verb{linear.Create, linear.Update} {
			w.left = 2
			if err := w.move(); err != nil {
				return 0
			}
			w.writes++
			s := linear.Step{Verb: verb, Key: key, Value: fmt.Sprintf("%s.end.%d.%s", w.run.name, w.writes, key)}
			if out := w.request(linear.Request{Steps: []linear.Step{s}}); out.Outcome == linear.Done {
				return out.Revisions[0]
			}
		}
	}
	return 0
}

// awaitWatchers waits until all have come to a revision.
func (r *run) awaitWatchers(ctx context.Context, to func(*watcher) uint64) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	for _, w := range r.watchers {
		for w.position.Load() < to(w) {
			if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
				return fmt.Errorf("watcher %s, by way of %s, is at revision %d, and shall come to %d: not within %v",
					w.watch.Name, w.client.Load().Server(), w.position.Load(), to(w), recoveryTime)
			}
		}
	}
	return nil
}

func (r *run) result(out *Result, until uint64) {
	out.History = linear.History{Operations: r.recorder.Operations(), Until: until, Exclusive: true}
	for _, w := range r.watchers {
		out.History.Watches = append(out.History.Watches, w.watch)
	}
	out.Stats, out.Failures = r.sum(out.History.Watches), r.failures
}
