package state

import (
	"encoding/binary"
	"math"

	iradix "github.com/hashicorp/go-immutable-radix/v2"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// timeLength is the length of the time that the keys of the due tree begin with,
// in bytes: big-endian, so that they sort by it.
const timeLength = 8

// dueKey is where an entry is in the due tree: its time, then its encoded key.
func dueKey(expires int64, key []byte) []byte {
	b := make([]byte, 0, timeLength+len(key))
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	return append(b, key...)
}

// expires keeps the due tree with a change of an entry; either may be nil.
func (b *batch) expires(key []byte, prev, entry *Entry) {
	var before, after int64
	if prev != nil {
		before = prev.Expires
	}
	if entry != nil {
		after = entry.Expires
	}
	if before == after {
		return
	}
	if before != 0 {
		b.dueTxn().Delete(dueKey(before, key))
	}
	if after != 0 {
		b.dueTxn().Insert(dueKey(after, key), struct{}{})
	}
}

func (b *batch) dueTxn() *iradix.Txn[struct{}] {
	if b.due == nil {
		b.due = b.base.due.Txn()
	}
	return b.due
}

// expire removes what is due. It looks at no clock: all members remove the same.
func (b *batch) expire(e *storev1.Expire) *storev1.Result {
	var keys [][]byte
	it := b.dueTxn().Root().Iterator()
	for key, _, ok := it.Next(); ok && len(keys) < int(e.GetLimit()); key, _, ok = it.Next() {
		if timeOf(key) > e.GetUntilUnix() {
			break
		}
		keys = append(keys, key[timeLength:])
	}
	for _, key := range keys {
		b.delete(key)
	}
	return &storev1.Result{Revision: b.revision, FailedOperation: -1}
}

func timeOf(dueKey []byte) int64 {
	return int64(min(binary.BigEndian.Uint64(dueKey), math.MaxInt64))
}

// NextExpiry returns when the next entry expires, in seconds since 1970; false
// when none does.
func (v View) NextExpiry() (int64, bool) {
	key, _, ok := v.at.due.Root().Minimum()
	if !ok {
		return 0, false
	}
	return timeOf(key), true
}
