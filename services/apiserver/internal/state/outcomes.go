package state

import (
	"iter"
	"maps"
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
)

// outcomes remembers the results of the last transactions that had an id. It is
// part of the state: all members forget the same ones at the same entry. What is
// usual is kept without a pointer, so that the garbage collector has none of
// them to look at.
type outcomes struct {
	ring  []outcome // grows to OutcomesKept, then is overwritten from next on
	next  int
	total atomic.Uint64

	slots    map[[usualID]byte]uint32 // of the ring, by id
	oddSlots map[string]uint32        // the same for ids of other lengths
	oddIDs   map[uint32]string
	large    map[uint32]*storev1.Result // results that do not fit, by slot
}

// outcome is a result as storev1.Result, unless it is a large one, and its id,
// unless that is an odd one.
type outcome struct {
	id              [usualID]byte
	revision, found uint64
	changes         [usualChanges]uint64
	changed         uint8 // how many changes there are
	odd, large      bool
	failed          int32
}

func newOutcomes() *outcomes {
	return &outcomes{
		slots: make(map[[usualID]byte]uint32), oddSlots: make(map[string]uint32),
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
		slot, ok = o.slots[[usualID]byte(id)]
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
		o.ring = append(o.ring, outcome{})
	} else {
		o.forget(slot)
		o.next = (o.next + 1) % OutcomesKept
	}
	kept := outcome{
		revision: result.GetRevision(), found: result.GetFound(), failed: result.GetFailedOperation(),
		odd: len(id) != usualID, large: len(result.GetRevisions()) > usualChanges,
	}
	kept.changed = uint8(copy(kept.changes[:], result.GetRevisions()))
	if kept.large {
		o.large[slot] = result
	}
	if kept.odd {
		o.oddIDs[slot] = string(id)
		o.oddSlots[o.oddIDs[slot]] = slot
	} else {
		kept.id = [usualID]byte(id)
		o.slots[kept.id] = slot
	}
	o.ring[slot] = kept
}

func (o *outcomes) forget(slot uint32) {
	if o.ring[slot].odd {
		delete(o.oddSlots, o.oddIDs[slot])
		delete(o.oddIDs, slot)
	} else {
		delete(o.slots, o.ring[slot].id)
	}
	delete(o.large, slot)
}

func (o *outcomes) result(slot uint32) *storev1.Result {
	kept := &o.ring[slot]
	if kept.large {
		return o.large[slot]
	}
	return &storev1.Result{
		Revision: kept.revision, Found: kept.found, FailedOperation: kept.failed,
		Revisions: slices.Clone(kept.changes[:kept.changed]),
	}
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
			if o.ring[slot].odd {
				id = []byte(o.oddIDs[slot])
			}
			if !yield(&storev1.Outcome{Id: id, Result: o.result(slot)}) {
				return
			}
		}
	}
}
