package objects

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Bookmarks are sent at this interval, plus up to as much again.
const bookmarkInterval = 15 * time.Second

// initialBatch is how many initial events Next returns at once.
const initialBatch = 500

// WatchOptions say what to watch and from when.
type WatchOptions struct {
	LabelSelector, FieldSelector string
	// ResourceVersion after which changes are sent. "" and "0" send the present
	// state first, unless SendInitialEvents says otherwise.
	ResourceVersion      string
	ResourceVersionMatch metav1.ResourceVersionMatch
	// SendInitialEvents asks for the present state, ended by a bookmark.
	SendInitialEvents *bool
	// Bookmarks asks for bookmarks from time to time.
	Bookmarks bool
}

// Event is a change as seen through the selectors of a watch.
type Event struct {
	Type watch.EventType
	// Object after the change, or before it for a deletion; unset in bookmarks.
	Object Stored
	// Revision of the change.
	Revision uint64
	// InitialEnd marks the bookmark that ends the initial events.
	InitialEnd bool
}

// Watcher delivers events in order. It has one user at a time, and needs no closing.
type Watcher struct {
	target  Target
	sel     *selector
	cursor  *state.Watcher
	initial []Event
	marks   bool

	// parent is the context of Next's caller, and due the one of it that ends when
	// the next bookmark is due: to make one for each event would cost as much as
	// the event does.
	parent, due context.Context
	unschedule  context.CancelFunc
}

// Watch starts a watch. A revision that is no longer kept is an error with
// reason Expired, here or from Next.
func (s *Service) Watch(ctx context.Context, t Target, o WatchOptions) (*Watcher, error) {
	sel, err := parseSelector(t.Kind, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return nil, err
	}
	if err := s.authorizeSelected(ctx, "watch", t, sel); err != nil {
		return nil, err
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &Watcher{target: t, sel: sel, marks: o.Bookmarks}
	from, err := s.start(ctx, w, o)
	if err != nil {
		return nil, err
	}
	w.cursor, err = s.replica.Store().Watch(t.Kind.StoreResource(), t.Namespace, sel.index(), from)
	if err != nil {
		return nil, w.failed(err, from)
	}
	return w, nil
}

// start gathers the initial events and returns the revision to go on from.
func (s *Service) start(ctx context.Context, w *Watcher, o WatchOptions) (uint64, error) {
	stream := o.SendInitialEvents != nil && *o.SendInitialEvents
	legacy := o.SendInitialEvents == nil && (o.ResourceVersion == "" || o.ResourceVersion == "0")
	if !stream && !legacy && o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return parseWatchRevision(o.ResourceVersion)
	}
	view, err := s.viewNotOlder(ctx, o.ResourceVersion)
	if err != nil {
		return 0, err
	}
	if !stream && !legacy {
		return view.Revision(), nil
	}
	for e := range view.List(w.target.Kind.StoreResource(), w.target.Namespace) {
		ok, err := w.sel.matches(e)
		if err != nil {
			return 0, err
		}
		if ok {
			w.initial = append(w.initial, Event{Type: watch.Added, Object: listedEntry(w.target.Kind, e), Revision: e.ModRevision})
		}
	}
	if stream && o.Bookmarks {
		w.initial = append(w.initial, Event{Type: watch.Bookmark, Revision: view.Revision(), InitialEnd: true})
	}
	return view.Revision(), nil
}

// Pending tells whether Next has some of the present state left to return, at once.
func (w *Watcher) Pending() bool { return len(w.initial) > 0 }

// Next returns the next events, at least one; it blocks until there are some or
// ctx ends.
func (w *Watcher) Next(ctx context.Context) ([]Event, error) {
	if n := min(len(w.initial), initialBatch); n > 0 {
		out := w.initial[:n]
		w.initial = w.initial[n:]
		return out, nil
	}
	for {
		events, err := w.wait(ctx)
		if err != nil {
			return nil, err
		}
		if events == nil {
			w.scheduleMark(ctx)
			return []Event{{Type: watch.Bookmark, Revision: w.cursor.Progress()}}, nil
		}
		out, err := w.see(events)
		if len(out) > 0 || err != nil {
			return out, err
		}
	}
}

// wait returns the next changes of the state, or nil when a bookmark is due.
func (w *Watcher) wait(ctx context.Context) ([]state.Event, error) {
	waiting := ctx
	if w.marks {
		if w.parent != ctx {
			w.scheduleMark(ctx)
		}
		waiting = w.due
	}
	events, err := w.cursor.Next(waiting)
	switch {
	case err == nil:
		return events, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case waiting.Err() != nil:
		return nil, nil
	}
	return nil, w.failed(err, w.cursor.Progress())
}

func (w *Watcher) failed(err error, at uint64) error {
	if errors.Is(err, state.ErrTooOld) {
		return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d", at))
	}
	return fmt.Errorf("watch %s: %w", w.target.Kind.Resource, err)
}

// scheduleMark has the next bookmark come due a while from now. What it starts
// ends with ctx at the latest.
func (w *Watcher) scheduleMark(ctx context.Context) {
	if w.unschedule != nil {
		w.unschedule()
	}
	w.parent = ctx
	w.due, w.unschedule = context.WithTimeout(ctx, bookmarkInterval+rand.N(bookmarkInterval))
}

// see turns changes of the state into what the selectors let through.
func (w *Watcher) see(events []state.Event) ([]Event, error) {
	out := make([]Event, 0, len(events))
	for _, e := range events {
		before, err := w.selects(e.Prev)
		if err != nil {
			return nil, err
		}
		after, err := w.selects(e.Entry)
		if err != nil {
			return nil, err
		}
		switch {
		case after && before:
			out = append(out, Event{Type: watch.Modified, Object: storedEntry(w.target.Kind, e.Entry), Revision: e.Revision})
		case after:
			out = append(out, Event{Type: watch.Added, Object: storedEntry(w.target.Kind, e.Entry), Revision: e.Revision})
		case before:
			out = append(out, Event{Type: watch.Deleted, Object: storedValue(w.target.Kind, e.Prev.Value(), e.Revision), Revision: e.Revision})
		}
	}
	return out, nil
}

func (w *Watcher) selects(e *state.Entry) (bool, error) {
	if e == nil {
		return false, nil
	}
	return w.sel.matches(e)
}
