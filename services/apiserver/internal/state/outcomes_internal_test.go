package state

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// Ids come and go as a map has them, however full the table is.
func TestSlots(t *testing.T) {
	const ids, steps = 500, 20_000
	r := rand.New(rand.NewPCG(1, 2))
	ring := make([]outcome, ids)
	for i := range ring {
		binary.BigEndian.PutUint64(ring[i].id[8:], uint64(i))
	}
	s, there := newSlots(), map[uint32]bool{}
	for range steps {
		if slot := uint32(r.IntN(ids)); there[slot] {
			s.remove(ring, slot)
			delete(there, slot)
		} else {
			s.add(ring, slot)
			there[slot] = true
		}
		if s.count != len(there) || 2*s.count > len(s.table) {
			t.Fatalf("%d in a table of %d, want %d", s.count, len(s.table), len(there))
		}
		if i := uint32(r.IntN(ids)); there[i] {
			if at, ok := s.find(ring, &ring[i].id); !ok || at != i {
				t.Fatalf("slot %d is not found", i)
			}
		} else if _, ok := s.find(ring, &ring[i].id); ok {
			t.Fatalf("slot %d is found, which was removed", i)
		}
	}
	for slot := range there {
		if at, ok := s.find(ring, &ring[slot].id); !ok || at != slot {
			t.Errorf("slot %d is not found at the end", slot)
		}
	}
}

// A result is the same when it is asked for again, whatever it says, and so when
// others were forgotten for it.
func TestOutcomesAreKept(t *testing.T) {
	results := []*storev1.Result{
		{Revision: 7, FailedOperation: -1, Revisions: []uint64{7}},
		{Revision: 1007, FailedOperation: -1, Revisions: []uint64{1006, 0, 1007}},
		{Revision: 1007, FailedOperation: -1, Revisions: []uint64{1007 - unchanged, 1007}},
		{Revision: 1007, FailedOperation: -1, Revisions: []uint64{1008 - unchanged, 3}},
		{Revision: 9, FailedOperation: -1, Revisions: []uint64{6, 7, 8, 9}},
		{Revision: 9, FailedOperation: 2, Found: 5},
		{Revision: 3, FailedOperation: -1, Revisions: []uint64{2, 0, 3}},
		{},
	}
	o := newOutcomes()
	id := func(n int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8-n%2), uint64(n)) }
	const total = OutcomesKept + 1000
	for n := range total {
		o.once(id(n), func() *storev1.Result { return results[n%len(results)] })
	}
	for n := total - OutcomesKept; n < total; n++ {
		got := o.once(id(n), func() *storev1.Result { t.Fatalf("outcome %d is forgotten", n); return nil })
		if !proto.Equal(got, results[n%len(results)]) {
			t.Fatalf("outcome %d is %v, want %v", n, got, results[n%len(results)])
		}
	}
	if _, ok := o.slot(id(0)); ok || o.len() != OutcomesKept || cap(o.ring) != OutcomesKept {
		t.Errorf("%d outcomes in memory for %d, the first is there: %t", o.len(), cap(o.ring), ok)
	}
}
