package state

import storev1 "github.com/musterhq/muster/proto/muster/store/v1"

// expires keeps the due tree with a change of an entry; either may be nil.
func (b *batch) expires(prev, entry *Entry) {
	goes := prev != nil && prev.Expires != 0
	comes := entry != nil && entry.Expires != 0
	if !goes && !comes {
		return
	}
	if b.due == b.base.due {
		b.due = clone(b.base, b.base.due)
	}
	if goes {
		b.due.Delete(prev)
	}
	if comes {
		b.due.ReplaceOrInsert(entry)
	}
}

// expire removes what is due. It looks at no clock: all members remove the same.
func (b *batch) expire(e *storev1.Expire) *storev1.Result {
	var gone []*Entry
	b.due.Ascend(func(entry *Entry) bool {
		if len(gone) >= int(e.GetLimit()) || entry.Expires > e.GetUntilUnix() {
			return false
		}
		gone = append(gone, entry)
		return true
	})
	for _, entry := range gone {
		b.delete(entry)
	}
	return &storev1.Result{Revision: b.revision, FailedOperation: -1}
}

// NextExpiry returns when the next entry expires, in seconds since 1970; false
// when none does.
func (v View) NextExpiry() (int64, bool) {
	next, ok := v.at.due.Min()
	if !ok {
		return 0, false
	}
	return next.Expires, true
}
