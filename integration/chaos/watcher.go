package chaos

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/integration/linear"
	"github.com/musterhq/muster/sdk"
)

// watcher follows a range and takes down what it sees. One that hops goes to
// another member from time to time, behind what it saw last; one that does not
// leaves that to its client.
type watcher struct {
	run      *run
	rand     *rand.Rand
	hops     bool
	selector string

	position atomic.Uint64 // 0 until the present state was seen
	client   atomic.Pointer[sdk.Client]
	mu       sync.Mutex
	watch    linear.Watch
}

// follow goes on until ctx ends.
func (w *watcher) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.visit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// visit watches at one member, or at all.
func (w *watcher) visit(ctx context.Context) error {
	var members []string
	if w.hops {
		all := w.run.cluster.Members()
		members = append(members, all[w.rand.IntN(len(all))])
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(w.rand.Int64N(int64(6*time.Second))))
		defer cancel()
	}
	client, err := w.run.cluster.Dial(members...)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	w.client.Store(client)
	o := sdk.WatchOptions{Namespace: w.watch.Range, LabelSelector: w.selector}
	server := client.Server()
	if len(members) > 0 {
		server = members[0]
	}
	if at := w.position.Load(); at != 0 {
		o.ResourceVersion = strconv.FormatUint(at, 10)
		w.note(linear.Record{Kind: linear.Resume, Revision: at, Server: server})
	} else {
		o.SendInitialEvents = true
		w.note(linear.Record{Kind: linear.Begin, Server: server})
	}
	return w.receive(ctx, sdk.Watch[*corev1.ConfigMap](ctx, client, o))
}

func (w *watcher) receive(ctx context.Context, events *sdk.Watcher[*corev1.ConfigMap]) error {
	defer events.Stop()
	for {
		some, err := events.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case sdk.IsExpired(err):
			w.note(linear.Record{Kind: linear.Expired})
			w.position.Store(0)
			return nil
		case err != nil && (sdk.IsRetryable(err) || sdk.OutcomeUnknown(err)):
			wait(ctx, 20*time.Millisecond)
			return nil
		case err != nil:
			return err
		}
		for _, e := range some {
			if e.Type == sdk.Bookmark || ours(e.Object) {
				w.event(e)
			}
		}
	}
}

var kinds = map[sdk.EventType]linear.RecordKind{
	sdk.Added: linear.Added, sdk.Modified: linear.Modified, sdk.Deleted: linear.Deleted,
}

func (w *watcher) event(e sdk.Event[*corev1.ConfigMap]) {
	at := revision(e.ResourceVersion)
	switch {
	case e.Type == sdk.Bookmark && e.InitialEventsEnd:
		w.note(linear.Record{Kind: linear.Synced, Revision: at})
		w.position.Store(at)
	case e.Type == sdk.Bookmark:
		w.note(linear.Record{Kind: linear.Bookmark, Revision: at})
		w.position.Store(max(at, w.position.Load()))
	case w.position.Load() == 0:
		w.note(linear.Record{Kind: linear.Initial, Item: itemOf(e.Object)})
	default:
		item := itemOf(e.Object)
		item.Revision = at
		w.note(linear.Record{Kind: kinds[e.Type], Item: item})
		w.position.Store(max(at, w.position.Load()))
	}
}

func (w *watcher) note(r linear.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch.Records = append(w.watch.Records, r)
}

// wait waits for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
