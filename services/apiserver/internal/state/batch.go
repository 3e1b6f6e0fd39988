package state

import (
	"slices"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// batch applies the transactions of one command to one version of the state.
// They share the copies of the tree's nodes, which is what makes group commit
// cheap here too.
type batch struct {
	base     *snapshot
	revision uint64
	count    int
	groups   map[groupKey]*group // that were changed
	last     *group              // one of those
	due      *dueTree            // what base has until it is changed
	events   []Event
	packer   *packer

	results   []storev1.Result // to be given to single puts, which are most there is
	revisions []uint64
}

type groupKey struct{ resource, namespace string }

func newBatch(base *snapshot, packer *packer) *batch {
	return &batch{base: base, revision: base.revision, count: base.count, groups: map[groupKey]*group{}, due: base.due, packer: packer}
}

// group returns the entries of a namespace, to be changed.
func (b *batch) group(resource, namespace string) *group {
	if g := b.last; g != nil && g.space.Namespace == namespace && g.space.Resource == resource {
		return g
	}
	key := groupKey{resource, namespace}
	g, ok := b.groups[key]
	if !ok {
		if known := b.base.group(resource, namespace); known != nil {
			g = known.copy(clone(b.base, known.items))
		} else {
			g = newGroup(resource, namespace)
		}
		b.groups[groupKey{g.space.Resource, g.space.Namespace}] = g
	}
	b.last = g
	return g
}

func (b *batch) get(key Key) *Entry {
	e, _ := b.group(key.Resource, key.Namespace).get(key.Name)
	return e
}

// apply checks all of a transaction and then does all of it, or nothing.
func (b *batch) apply(tx *storev1.Transaction) *storev1.Result {
	ops := tx.GetOperations()
	if e := tx.GetExpire(); e != nil {
		if len(ops) > 0 {
			return b.failure(0, nil)
		}
		return b.expire(e)
	}
	if len(ops) == 1 && ops[0].GetAction() == storev1.Action_ACTION_PUT {
		return b.putOne(ops[0])
	}
	found := make([]*Entry, len(ops))
	changed := changes{ops: ops}
	for i, op := range ops {
		key := keyOf(op.GetKey())
		found[i] = b.get(key)
		if !key.valid() || !wellFormed(op) || changed.before(i, key) || !holds(op, found[i]) {
			return b.failure(i, found[i])
		}
	}
	revisions := make([]uint64, len(ops))
	for i, op := range ops {
		switch op.GetAction() {
		case storev1.Action_ACTION_PUT:
			revisions[i] = b.put(op, found[i])
		case storev1.Action_ACTION_DELETE:
			revisions[i] = b.delete(found[i])
		}
	}
	return &storev1.Result{Revision: b.revision, FailedOperation: -1, Revisions: revisions}
}

func (b *batch) failure(operation int, found *Entry) *storev1.Result {
	r := &storev1.Result{Revision: b.revision, FailedOperation: int32(operation)}
	if found != nil {
		r.Found = found.ModRevision
	}
	return r
}

func holds(op *storev1.Operation, entry *Entry) bool {
	switch op.GetPrecondition() {
	case storev1.Precondition_PRECONDITION_ABSENT:
		return entry == nil
	case storev1.Precondition_PRECONDITION_PRESENT:
		return entry != nil
	case storev1.Precondition_PRECONDITION_REVISION:
		return entry != nil && entry.ModRevision == op.GetRevision()
	}
	return true
}

// putOne is apply for what most transactions are. It looks for the place of the
// entry once, where apply does so to check and again to store: an entry that must
// not be stored is taken out again, which is rare.
func (b *batch) putOne(op *storev1.Operation) *storev1.Result {
	key := keyOf(op.GetKey())
	if !key.valid() || !wellFormed(op) {
		return b.failure(0, b.get(key))
	}
	group := b.group(key.Resource, key.Namespace)
	entry := &Entry{Key: StoredKey{group.space, key.Name}}
	prev := group.put(entry)
	if !holds(op, prev) {
		if prev != nil {
			group.put(prev)
		} else {
			group.delete(entry)
		}
		return b.failure(0, prev)
	}
	b.fill(entry, op, prev)
	if prev == nil {
		b.counted(entry.Key.Space, 1)
	}
	b.expires(prev, entry)
	b.events = append(b.events, Event{Revision: b.revision, Entry: entry, Prev: prev})
	return b.stored()
}

// expects makes room for what so many transactions bring about, at once.
func (b *batch) expects(transactions int) {
	b.events = make([]Event, 0, transactions)
	b.results, b.revisions = make([]storev1.Result, transactions), make([]uint64, transactions)
}

// stored returns the result of a put that was the only operation.
func (b *batch) stored() *storev1.Result {
	r, revisions := &b.results[0], b.revisions[:1:1]
	b.results, b.revisions = b.results[1:], b.revisions[1:]
	r.Revision, r.FailedOperation, r.Revisions = b.revision, -1, revisions
	revisions[0] = b.revision
	return r
}

// put stores an entry in place of another one, if there is one.
func (b *batch) put(op *storev1.Operation, prev *Entry) uint64 {
	key := op.GetKey()
	entry := &Entry{Key: StoredKey{b.group(key.GetResource(), key.GetNamespace()).space, key.GetName()}}
	b.fill(entry, op, prev)
	b.replace(prev, entry)
	b.events = append(b.events, Event{Revision: b.revision, Entry: entry, Prev: prev})
	return b.revision
}

// fill makes an entry, which has its key, what is put in place of another one, at
// the next revision.
func (b *batch) fill(entry *Entry, op *storev1.Operation, prev *Entry) {
	b.revision++
	entry.CreateRevision, entry.ModRevision, entry.Expires = b.revision, b.revision, op.GetExpiresUnix()
	if prev != nil { // share what the version before has
		entry.Key.Space, entry.CreateRevision = prev.Key.Space, prev.CreateRevision
	}
	if prev != nil && slices.Equal(op.GetIndex(), prev.Index()) {
		entry.index = prev.index
	} else {
		entry.index = b.packer.names.index(op.GetIndex())
	}
	b.packer.keep(entry, op.GetValue())
}

// delete removes an entry, if there is one.
func (b *batch) delete(prev *Entry) uint64 {
	if prev == nil {
		return 0
	}
	b.revision++
	b.replace(prev, nil)
	b.events = append(b.events, Event{Revision: b.revision, Prev: prev})
	return b.revision
}

// replace makes the trees have an entry instead of another one of the same key;
// either may be nil.
func (b *batch) replace(prev, entry *Entry) {
	switch {
	case entry == nil:
		b.group(prev.Key.Resource, prev.Key.Namespace).delete(prev)
		b.counted(prev.Key.Space, -1)
	case prev == nil:
		b.counted(entry.Key.Space, 1)
		fallthrough
	default:
		b.group(entry.Key.Resource, entry.Key.Namespace).put(entry)
	}
	b.expires(prev, entry)
}

// counted notes that there is another entry, or one less.
func (b *batch) counted(of *Space, by int) {
	b.count += by
	b.group(of.Resource, "").count += by
	if of.Namespace != "" {
		b.group(of.Resource, of.Namespace).count += by
	}
}

// commit returns the version of the state that holds the batch.
func (b *batch) commit(index uint64) *snapshot {
	next := &snapshot{revision: b.revision, index: index, count: b.count, groups: b.base.groups, due: b.due, cloning: b.base.cloning}
	if len(b.groups) == 0 {
		return next
	}
	next.groups = clone(b.base, b.base.groups)
	for _, g := range b.groups {
		if g.count == 0 {
			next.groups.Delete(g)
		} else {
			next.groups.ReplaceOrInsert(g)
		}
	}
	return next
}
