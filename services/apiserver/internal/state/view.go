package state

import "iter"

// View is the state at one revision. It never changes and costs nothing to
// hold, but for what it keeps from being collected.
type View struct{ at *snapshot }

// Revision of the state; it grew by one for each changed entry.
func (v View) Revision() uint64 { return v.at.revision }

// Index of the last log entry that the view holds.
func (v View) Index() uint64 { return v.at.index }

// Get returns an entry.
func (v View) Get(key Key) (*Entry, bool) { return v.at.entries.Get(&Entry{Key: key}) }

// List yields the entries of a resource, or of one namespace of it, ordered by
// namespace and name.
func (v View) List(resource, namespace string) iter.Seq[*Entry] {
	return v.ListAfter(resource, namespace, Key{})
}

// ListAfter yields what List does, from behind a key that need not exist.
func (v View) ListAfter(resource, namespace string, after Key) iter.Seq[*Entry] {
	from := Key{Resource: resource, Namespace: namespace}
	if from.Compare(after) < 0 {
		from = after
	}
	return func(yield func(*Entry) bool) {
		v.at.entries.AscendGreaterOrEqual(&Entry{Key: from}, func(e *Entry) bool {
			if e.Key.Resource != resource || namespace != "" && e.Key.Namespace != namespace {
				return false
			}
			return e.Key == after || yield(e)
		})
	}
}

// All yields every entry, ordered by resource, namespace and name.
func (v View) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) { v.at.entries.Ascend(yield) }
}

// Count tells how many entries List yields, without going through them.
func (v View) Count(resource, namespace string) int {
	if g, ok := v.at.groups.Get(&group{resource: resource, namespace: namespace}); ok {
		return g.entries
	}
	return 0
}
