package state

import (
	"sync/atomic"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// OutcomesKept is how many transactions with an id are remembered. A proposer
// that tries again after more than that many others cannot know whether its
// transaction was applied.
const OutcomesKept = 1 << 16

// maxID bounds the bytes of an id that is remembered.
const maxID = 64

// outcomes remembers the results of the last transactions that had an id. It is
// part of the state: all members forget the same ones at the same entry.
type outcomes struct {
	byID  map[string]*storev1.Result
	ring  []outcome // grows to OutcomesKept, then is overwritten from next on
	next  int
	total atomic.Uint64
}

type outcome struct {
	id     string
	result *storev1.Result
}

func newOutcomes() *outcomes { return &outcomes{byID: make(map[string]*storev1.Result)} }

// once returns what apply returned when it was first called for the id.
func (o *outcomes) once(id []byte, apply func() *storev1.Result) *storev1.Result {
	if len(id) == 0 || len(id) > maxID {
		return apply()
	}
	if first, ok := o.byID[string(id)]; ok {
		return first
	}
	result := apply()
	o.remember(string(id), result)
	return result
}

func (o *outcomes) remember(id string, result *storev1.Result) {
	o.total.Add(1)
	o.byID[id] = result
	if len(o.ring) < OutcomesKept {
		o.ring = append(o.ring, outcome{id, result})
		return
	}
	delete(o.byID, o.ring[o.next].id)
	o.ring[o.next] = outcome{id, result}
	o.next = (o.next + 1) % OutcomesKept
}

// list returns a copy of what is remembered, oldest first.
func (o *outcomes) list() []outcome {
	all := make([]outcome, 0, len(o.ring))
	all = append(all, o.ring[o.next:]...)
	return append(all, o.ring[:o.next]...)
}
