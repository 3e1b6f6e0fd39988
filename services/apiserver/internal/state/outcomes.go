package state

import (
	"iter"
	"maps"
	"math"
	"slices"
	"sync/atomic"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// OutcomesKept is how many transactions with an id are remembered. A proposer
// that tries again after more than that many others cannot know whether its
// transaction was applied.
const OutcomesKept = 1 << 16

const (
	// maxID bounds the bytes of an id that is remembered.
	maxID = 64
	// usualID is the length of the ids that proposers draw, usualChanges bounds the
	// operations of what is usually done at once.
	usualID, usualChanges = 16, 3
	// unchanged stands for an operation that changed nothing.
	unchanged = math.MaxUint8
)

// outcomes remembers the results of the last transactions that had an id. It is
// part of the state: all members forget the same ones at the same entry. What is
// usual is kept without a pointer, so that the garbage collector has none of
// them to look at.
type outcomes struct {
	ring  []outcome // grows to OutcomesKept, then is overwritten from next on
	next  int
	total atomic.Uint64

	slots    slots             // of the ring, by id
	oddSlots map[string]uint32 // the same for ids of other lengths
	oddIDs   map[uint32]string
	large    map[uint32]*storev1.Result // results that do not fit, by slot
}

// outcome is a result as storev1.Result, unless it is a large one, and its id,
// unless that is an odd one.
type outcome struct {
	id              [usualID]byte
	revision, found uint64
	failed          int32
	operations      uint8               // how many there are
	behind          [usualChanges]uint8 // how far each one's revision is behind that of all, or unchanged
}

func newOutcomes() *outcomes {
	return &outcomes{
		slots: newSlots(), oddSlots: make(map[string]uint32),
		oddIDs: make(map[uint32]string), large: make(map[uint32]*storev1.Result),
	}
}

// once returns what apply returned when it was first called for the id.
func (o *outcomes) once(id []byte, apply func() *storev1.Result) *storev1.Result {
	if len(id) == 0 || len(id) > maxID {
		return apply()
	}
	if slot, ok := o.slot(id); ok {
		return o.result(slot)
	}
	result := apply()
	o.remember(id, result)
	return result
}

func (o *outcomes) slot(id []byte) (slot uint32, ok bool) {
	if len(id) == usualID {
		slot, ok = o.slots.find(o.ring, (*[usualID]byte)(id))
	} else {
		slot, ok = o.oddSlots[string(id)]
	}
	return slot, ok
}

func (o *outcomes) remember(id []byte, result *storev1.Result) {
	o.total.Add(1)
	slot := uint32(o.next)
	if len(o.ring) < OutcomesKept {
		slot = uint32(len(o.ring))
		if len(o.ring) == cap(o.ring) {
			o.ring = append(make([]outcome, 0, min(max(2*len(o.ring), slotsLeast), OutcomesKept)), o.ring...)
		}
		o.ring = append(o.ring, outcome{})
	} else {
		o.forget(slot)
		o.next = (o.next + 1) % OutcomesKept
	}
	kept, fits := outcomeOf(result)
	if !fits {
		o.large[slot] = result
	}
	if len(id) == usualID {
		kept.id = [usualID]byte(id)
		o.ring[slot] = kept
		o.slots.add(o.ring, slot)
		return
	}
	o.ring[slot] = kept
	o.oddIDs[slot] = string(id)
	o.oddSlots[o.oddIDs[slot]] = slot
}

// outcomeOf returns a result as it is kept, or false for one that is too large.
func outcomeOf(result *storev1.Result) (kept outcome, fits bool) {
	if len(result.GetRevisions()) > usualChanges {
		return outcome{}, false
	}
	kept = outcome{
		revision: result.GetRevision(), found: result.GetFound(), failed: result.GetFailedOperation(),
		operations: uint8(len(result.GetRevisions())),
	}
	for i, revision := range result.GetRevisions() {
		switch behind := kept.revision - revision; {
		case behind < unchanged:
			kept.behind[i] = uint8(behind)
		case revision == 0:
			kept.behind[i] = unchanged
		default:
			return outcome{}, false
		}
	}
	return kept, true
}

func (o *outcomes) forget(slot uint32) {
	if id, odd := o.oddIDs[slot]; odd {
		delete(o.oddSlots, id)
		delete(o.oddIDs, slot)
	} else {
		o.slots.remove(o.ring, slot)
	}
	delete(o.large, slot)
}

func (o *outcomes) result(slot uint32) *storev1.Result {
	if large, ok := o.large[slot]; ok {
		return large
	}
	kept := &o.ring[slot]
	r := &storev1.Result{Revision: kept.revision, Found: kept.found, FailedOperation: kept.failed}
	for _, behind := range kept.behind[:kept.operations] {
		revision := kept.revision - uint64(behind)
		if behind == unchanged {
			revision = 0
		}
		r.Revisions = append(r.Revisions, revision)
	}
	return r
}

// copy returns what all needs, as it is now.
func (o *outcomes) copy() *outcomes {
	return &outcomes{ring: slices.Clone(o.ring), next: o.next, oddIDs: maps.Clone(o.oddIDs), large: maps.Clone(o.large)}
}

// become makes it what another one is, of so many transactions in all.
func (o *outcomes) become(other *outcomes, total uint64) {
	o.ring, o.next = other.ring, other.next
	o.slots, o.oddSlots, o.oddIDs, o.large = other.slots, other.oddSlots, other.oddIDs, other.large
	o.total.Store(total)
}

// len counts those that are remembered.
func (o *outcomes) len() int { return len(o.ring) }

// all yields what is remembered, oldest first.
func (o *outcomes) all() iter.Seq[*storev1.Outcome] {
	return func(yield func(*storev1.Outcome) bool) {
		for i := range o.ring {
			slot := uint32((o.next + i) % len(o.ring))
			id := o.ring[slot].id[:]
			if odd, ok := o.oddIDs[slot]; ok {
				id = []byte(odd)
			}
			if !yield(&storev1.Outcome{Id: id, Result: o.result(slot)}) {
				return
			}
		}
	}
}
