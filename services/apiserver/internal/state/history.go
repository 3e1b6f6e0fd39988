package state

import (
	"slices"
	"sync"
)

// What an event weighs beside its value, in bytes: the entry with its key, and
// for each index value that and its places in two topics.
const (
	eventOverhead = 400
	indexOverhead = 200
)

// Event is one committed change of one entry.
type Event struct {
	// Revision of the change.
	Revision uint64
	// Entry as it became; nil when it was deleted.
	Entry *Entry
	// Prev is the entry as it was; nil when it was created.
	Prev *Entry
}

// last returns the entry that the event is about, in its last known form.
func (e Event) last() *Entry {
	if e.Entry != nil {
		return e.Entry
	}
	return e.Prev
}

func (e Event) weight() int {
	about := e.last()
	return about.size + eventOverhead + indexOverhead*len(about.Index())
}

// topicKey is what a watcher can wait for: a resource, a namespace of it, or an
// index value of either.
type topicKey struct{ resource, namespace, index string }

// topics appends where an event belongs to an empty slice.
func (e Event) topics(keys []topicKey) []topicKey {
	about := e.last()
	keys = append(keys, topicKey{resource: about.Key.Resource})
	if about.Key.Namespace != "" {
		keys = append(keys, topicKey{resource: about.Key.Resource, namespace: about.Key.Namespace})
	}
	for i, value := range about.Index() {
		if !slices.Contains(about.Index()[:i], value) {
			keys = appendIndex(keys, about.Key, value)
		}
	}
	if e.Entry == nil || e.Prev == nil {
		return keys
	}
	for i, value := range e.Prev.Index() { // It may have left some.
		if !slices.Contains(e.Prev.Index()[:i], value) && !slices.Contains(about.Index(), value) {
			keys = appendIndex(keys, about.Key, value)
		}
	}
	return keys
}

func appendIndex(keys []topicKey, about StoredKey, value string) []topicKey {
	keys = append(keys, topicKey{resource: about.Resource, index: value})
	if about.Namespace != "" {
		keys = append(keys, topicKey{resource: about.Resource, namespace: about.Namespace, index: value})
	}
	return keys
}

// topic knows the remembered events of one topicKey, by their revisions: numbers
// are small and nothing that the garbage collector looks at. It exists while it
// has events or somebody waits for one, so that a watcher of a quiet topic
// neither is woken by others' events nor grows too old through them.
type topic struct {
	events  []uint64 // in their order
	evicted uint64   // revision up to which events may have been forgotten
	waiters int
	wake    chan struct{} // closed when events come or are lost; nil when nobody waited since
}

// after returns the revisions of the events behind a revision.
func (t *topic) after(revision uint64) []uint64 {
	if n := len(t.events); n == 0 || t.events[n-1] <= revision {
		return nil
	}
	i, _ := slices.BinarySearch(t.events, revision+1)
	return t.events[i:]
}

func (t *topic) notify() {
	if t.wake != nil {
		close(t.wake)
		t.wake = nil
	}
}

// history is the window of committed events, bounded by number and weight, and
// the same events by topic.
type history struct {
	limits Limits

	mu       sync.Mutex
	revision uint64        // of the last change
	moved    chan struct{} // nil while nobody waits for a revision
	floor    uint64        // revision of the last event forgotten
	window   []Event       // of revisions that follow each other
	weight   int
	topics   map[topicKey]*topic

	keys    []topicKey          // of the event at hand; kept for its memory
	touched map[*topic]struct{} // by the command at hand
}

func newHistory(limits Limits) *history {
	return &history{limits: limits, topics: make(map[topicKey]*topic), touched: make(map[*topic]struct{})}
}

// append adds the events of a command, which brought the state to a revision. It
// returns the revision of the last event that is forgotten.
func (h *history) append(revision uint64, events []Event) (floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(events) == 0 {
		return h.floor
	}
	for _, event := range events {
		h.window = append(h.window, event)
		h.weight += event.weight()
		h.keys = event.topics(h.keys[:0])
		for _, key := range h.keys {
			t := h.topic(key)
			t.events = append(t.events, event.Revision)
			h.touched[t] = struct{}{}
		}
	}
	h.move(revision)
	for len(h.window) > h.limits.Events || h.weight > h.limits.Bytes {
		h.forget()
	}
	for t := range h.touched {
		t.notify()
	}
	clear(h.touched)
	return h.floor
}

// forgetUpTo drops the events up to a revision, and returns that of the last event that
// is forgotten.
func (h *history) forgetUpTo(revision uint64) (floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.window) > 0 && h.window[0].Revision <= revision {
		h.forget()
	}
	return h.floor
}

// forget drops the oldest event from the window and from its topics, where it
// is the oldest too.
func (h *history) forget() {
	event := h.window[0]
	h.window[0] = Event{}
	h.window = h.window[1:]
	h.weight -= event.weight()
	h.floor = event.Revision
	h.keys = event.topics(h.keys[:0])
	for _, key := range h.keys {
		t := h.topics[key]
		t.events = t.events[1:]
		t.evicted = event.Revision
		if h.drop(key, t) {
			delete(h.touched, t)
		}
	}
}

// event returns the remembered event of a revision.
func (h *history) event(revision uint64) Event { return h.window[revision-h.window[0].Revision] }

// topic returns a topic, which begins to be remembered now if it was not.
func (h *history) topic(key topicKey) *topic {
	t, ok := h.topics[key]
	if !ok {
		t = &topic{evicted: h.floor}
		h.topics[key] = t
	}
	return t
}

// drop forgets a topic that nobody needs.
func (h *history) drop(key topicKey, t *topic) bool {
	if t.waiters > 0 || len(t.events) > 0 {
		return false
	}
	delete(h.topics, key)
	return true
}

// evicted tells up to which revision events of a topic may have been forgotten.
func (h *history) evicted(key topicKey) uint64 {
	if t, ok := h.topics[key]; ok {
		return t.evicted
	}
	return h.floor
}

// reset forgets all events, because the state was replaced by another one.
func (h *history) reset(revision uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.move(revision)
	h.floor = revision
	h.window, h.weight = nil, 0
	for key, t := range h.topics {
		t.events, t.evicted = nil, revision
		t.notify()
		h.drop(key, t)
	}
}
