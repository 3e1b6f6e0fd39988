package state

import (
	"slices"

	iradix "github.com/hashicorp/go-immutable-radix/v2"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// batch applies the transactions of one command to one version of the state.
// They share the copies of the tree's nodes, which is what makes group commit
// cheap here too.
type batch struct {
	base     *snapshot
	revision uint64
	entries  *iradix.Txn[*Entry]
	due      *iradix.Txn[struct{}] // nil while it is what base has
	created  map[countKey]int
	events   []Event
}

type countKey struct{ resource, namespace string }

func newBatch(base *snapshot) *batch {
	return &batch{base: base, revision: base.revision, entries: base.entries.Txn()}
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
	keys := make([][]byte, len(ops))
	var changed map[Key]bool
	if len(ops) > 1 {
		changed = make(map[Key]bool, len(ops))
	}
	for i, op := range ops {
		key := keyOf(op.GetKey())
		keys[i] = key.encode()
		entry, _ := b.entries.Get(keys[i])
		if !key.valid() || !wellFormed(op) || changed[key] || !holds(op, entry) {
			return b.failure(i, entry)
		}
		if changed != nil && op.GetAction() != storev1.Action_ACTION_UNSPECIFIED {
			changed[key] = true
		}
	}
	revisions := make([]uint64, len(ops))
	for i, op := range ops {
		switch op.GetAction() {
		case storev1.Action_ACTION_PUT:
			revisions[i] = b.put(keys[i], op)
		case storev1.Action_ACTION_DELETE:
			revisions[i] = b.delete(keys[i])
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

func (b *batch) put(key []byte, op *storev1.Operation) uint64 {
	b.revision++
	entry := &Entry{
		Key:            keyOf(op.GetKey()),
		Value:          op.GetValue(),
		CreateRevision: b.revision,
		ModRevision:    b.revision,
		Index:          op.GetIndex(),
		Expires:        op.GetExpiresUnix(),
	}
	prev, _ := b.entries.Get(key)
	if prev != nil {
		entry.Key = prev.Key // shares the strings of the version before
		entry.CreateRevision = prev.CreateRevision
		if slices.Equal(entry.Index, prev.Index) {
			entry.Index = prev.Index
		}
	} else {
		b.count(entry.Key, 1)
	}
	b.entries.Insert(key, entry)
	b.expires(key, prev, entry)
	b.events = append(b.events, Event{Revision: b.revision, Entry: entry, Prev: prev})
	return b.revision
}

func (b *batch) delete(key []byte) uint64 {
	prev, ok := b.entries.Delete(key)
	if !ok {
		return 0
	}
	b.revision++
	b.count(prev.Key, -1)
	b.expires(key, prev, nil)
	b.events = append(b.events, Event{Revision: b.revision, Prev: prev})
	return b.revision
}

func (b *batch) count(key Key, by int) {
	if b.created == nil {
		b.created = make(map[countKey]int)
	}
	b.created[countKey{key.Resource, ""}] += by
	if key.Namespace != "" {
		b.created[countKey{key.Resource, key.Namespace}] += by
	}
}

// commit returns the version of the state that holds the batch.
func (b *batch) commit(index uint64) *snapshot {
	next := &snapshot{revision: b.revision, index: index, counts: b.base.counts, due: b.base.due}
	next.entries = b.entries.CommitOnly()
	if b.due != nil {
		next.due = b.due.CommitOnly()
	}
	if len(b.created) == 0 {
		return next
	}
	counts := b.base.counts.Txn()
	for k, by := range b.created {
		key := prefix(k.resource, k.namespace)
		n, _ := counts.Get(key)
		if n+by == 0 {
			counts.Delete(key)
		} else {
			counts.Insert(key, n+by)
		}
	}
	next.counts = counts.CommitOnly()
	return next
}
