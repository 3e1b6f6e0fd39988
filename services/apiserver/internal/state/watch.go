package state

import "context"

// batchMax bounds the events that Next returns at once.
const batchMax = 512

// Watcher is a cursor over the committed events of a resource. It holds no
// events itself and needs no closing. It has one user at a time.
type Watcher struct {
	history *history
	key     topicKey
	cursor  uint64
}

// Watch returns a watcher of the changes after a revision: of a resource, of a
// namespace of it (if not empty) and of the entries with an index value (if not
// empty). It returns ErrTooOld when some of them may be forgotten already. A
// revision that is yet to come is waited for.
func (s *Store) Watch(resource, namespace, index string, after uint64) (*Watcher, error) {
	w := &Watcher{
		history: s.history,
		key:     topicKey{resource: resource, namespace: namespace, index: index},
		cursor:  after,
	}
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	if s.history.evicted(w.key) > after {
		return nil, ErrTooOld
	}
	return w, nil
}

// Next returns the next events, at least one, in the order of their revisions.
// It blocks until there are some. It returns ErrTooOld when the watcher fell
// out of the window, or the cause of the context's end.
//
// A watcher by index sees a change when the entry before it or after it has the
// index value, so one that loses the value is seen to go.
func (w *Watcher) Next(ctx context.Context) ([]Event, error) {
	h := w.history
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		events, err := w.take()
		if len(events) > 0 || err != nil {
			return events, err
		}
		if err := w.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Progress returns a revision up to which Next has returned every event. The
// caller is the one that calls Next, between two calls.
func (w *Watcher) Progress() uint64 {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.advance()
	return w.cursor
}

// take returns the events that are there, and moves the cursor behind them or,
// if there are none, to the present.
func (w *Watcher) take() ([]Event, error) {
	if w.history.evicted(w.key) > w.cursor {
		return nil, ErrTooOld
	}
	var revisions []uint64
	if t, ok := w.history.topics[w.key]; ok {
		revisions = t.after(w.cursor)
	}
	revisions = revisions[:min(len(revisions), batchMax)]
	events := make([]Event, len(revisions))
	for i, revision := range revisions {
		events[i] = w.history.event(revision)
	}
	if n := len(events); n > 0 {
		w.cursor = events[n-1].Revision
	}
	w.advance()
	return events, nil
}

// advance moves the cursor to the present if no event of the topic lies between.
func (w *Watcher) advance() {
	if w.history.evicted(w.key) > w.cursor {
		return
	}
	if t, ok := w.history.topics[w.key]; ok && len(t.after(w.cursor)) > 0 {
		return
	}
	w.cursor = max(w.cursor, w.history.revision)
}

// wait gives up the lock until the topic changes.
func (w *Watcher) wait(ctx context.Context) error {
	h := w.history
	t := h.topic(w.key)
	t.waiters++
	if t.wake == nil {
		t.wake = make(chan struct{})
	}
	wake := t.wake
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		t.waiters--
		h.drop(w.key, t)
	}()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
