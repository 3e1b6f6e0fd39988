package image

import (
	"sync"
	"time"
)

// Backoff doubles a delay for each failure of the same thing, as kubelet does
// for restarts and pulls: 10 s to 5 min, forgotten after twice the longest.
type Backoff struct {
	initial, longest time.Duration
	mu               sync.Mutex
	entries          map[string]backoffEntry
}

type backoffEntry struct {
	delay   time.Duration
	updated time.Time
}

// NewBackoff starts with initial and never exceeds longest.
func NewBackoff(initial, longest time.Duration) *Backoff {
	return &Backoff{initial: initial, longest: longest, entries: make(map[string]backoffEntry)}
}

// Remaining is how long to wait still after what happened at since; delay is the
// whole of it.
func (b *Backoff) Remaining(key string, since, now time.Time) (left, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[key]
	if !ok || b.expired(e, since) {
		return 0, 0
	}
	return max(0, e.delay-now.Sub(since)), e.delay
}

// Next takes the following delay for something that happened at since.
func (b *Backoff) Next(key string, since, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[key]
	if !ok || b.expired(e, since) {
		e.delay = b.initial
	} else {
		e.delay = min(2*e.delay, b.longest)
	}
	e.updated = now
	b.entries[key] = e
	return e.delay
}

// Updated is when Next was called last; the zero time for never.
func (b *Backoff) Updated(key string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key].updated
}

// Forget drops what is known about a key.
func (b *Backoff) Forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, key)
}

func (b *Backoff) expired(e backoffEntry, at time.Time) bool {
	return at.Sub(e.updated) > 2*b.longest
}
