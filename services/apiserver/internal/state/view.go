package state

import (
	"bytes"
	"iter"
)

// View is the state at one revision. It never changes and costs nothing to
// hold, but for what it keeps from being collected.
type View struct{ at *snapshot }

// Revision of the state; it grew by one for each changed entry.
func (v View) Revision() uint64 { return v.at.revision }

// Index of the last log entry that the view holds.
func (v View) Index() uint64 { return v.at.index }

// Get returns an entry.
func (v View) Get(key Key) (*Entry, bool) { return v.at.entries.Get(key.encode()) }

// List yields the entries of a resource, or of one namespace of it, ordered by
// namespace and name.
func (v View) List(resource, namespace string) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		it := v.at.entries.Root().Iterator()
		it.SeekPrefix(prefix(resource, namespace))
		for _, entry, ok := it.Next(); ok; _, entry, ok = it.Next() {
			if !yield(entry) {
				return
			}
		}
	}
}

// ListAfter yields what List does, from behind a key that need not exist.
func (v View) ListAfter(resource, namespace string, after Key) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		within := prefix(resource, namespace)
		from := append(after.encode(), 0)
		if bytes.Compare(from, within) < 0 {
			from = within
		}
		it := v.at.entries.Root().Iterator()
		it.SeekLowerBound(from)
		for key, entry, ok := it.Next(); ok && bytes.HasPrefix(key, within); key, entry, ok = it.Next() {
			if !yield(entry) {
				return
			}
		}
	}
}

// All yields every entry, ordered by resource, namespace and name.
func (v View) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		it := v.at.entries.Root().Iterator()
		for _, entry, ok := it.Next(); ok; _, entry, ok = it.Next() {
			if !yield(entry) {
				return
			}
		}
	}
}

// Count tells how many entries List yields, without going through them.
func (v View) Count(resource, namespace string) int {
	n, _ := v.at.counts.Get(prefix(resource, namespace))
	return n
}
