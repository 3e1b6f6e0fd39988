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
func (v View) Get(key Key) (*Entry, bool) {
	g := v.at.group(key.Resource, key.Namespace)
	if g == nil {
		return nil, false
	}
	return g.get(key.Name)
}

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
		v.at.groups.AscendGreaterOrEqual(&group{space: &Space{Resource: from.Resource, Namespace: from.Namespace}}, func(g *group) bool {
			if g.space.Resource != resource || namespace != "" && g.space.Namespace != namespace {
				return false
			}
			name, past := "", ""
			if g.space.Namespace == from.Namespace {
				name = from.Name
			}
			if from == after {
				past = name
			}
			for e := range g.from(name) {
				if (past == "" || e.Key.Name != past) && !yield(e) {
					return false
				}
			}
			return true
		})
	}
}

// All yields every entry, ordered by resource, namespace and name.
func (v View) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		v.at.groups.Ascend(func(g *group) bool {
			for e := range g.from("") {
				if !yield(e) {
					return false
				}
			}
			return true
		})
	}
}

// Count tells how many entries List yields, without going through them.
func (v View) Count(resource, namespace string) int {
	if g := v.at.group(resource, namespace); g != nil {
		return g.count
	}
	return 0
}

// Mark is what a namespace of a resource held in a view. Marks are comparable: equal
// ones held the same. (Different ones may have, too.) A mark keeps what it marks from
// being collected.
type Mark struct{ at *group }

// Mark returns the mark of a namespace of a resource, "" for what has no namespace.
// It is the zero Mark where there is nothing.
func (v View) Mark(resource, namespace string) Mark {
	return Mark{v.at.group(resource, namespace)}
}
