package linear_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/musterhq/muster/integration/linear"
)

// random is what a right store answers to n operations on four keys, with up to
// three under way at once, and shows to a watcher; and which operations are
// reads. The keys are never absent after the first four operations.
func random(r *rand.Rand, n int) (h *history, reads []int) {
	h = &history{}
	revision := uint64(0)
	now := map[string]linear.Item{}
	w := linear.Watch{Name: "w", Range: "a", Records: []linear.Record{mark(linear.Begin, 0), mark(linear.Synced, 0)}}
	for i := range n {
		key := fmt.Sprintf("a/k%d", i%4)
		if i >= 4 {
			key = fmt.Sprintf("a/k%d", r.IntN(4))
		}
		if i >= 4 && r.IntN(2) == 0 {
			h.get(key, now[key])
			reads = append(reads, i)
		} else {
			verb := linear.Update
			if i < 4 {
				verb = linear.Create
			}
			step := linear.Step{Verb: verb, Key: key, Value: fmt.Sprint("v", i)}
			unknown := i >= 4 && r.IntN(5) == 0
			if !unknown || r.IntN(2) == 0 {
				revision++
				now[key] = item(key, step.Value, revision)
				w.Records = append(w.Records, event(map[linear.Verb]linear.RecordKind{linear.Create: linear.Added, linear.Update: linear.Modified}[verb], key, step.Value, revision))
			}
			if unknown {
				h.lost(step)
			} else {
				h.add(steps(step), linear.Response{Revisions: []uint64{revision}})
			}
		}
		op := &h.Operations[i]
		op.Call = max(1, op.Call-int64(r.IntN(5)))
	}
	h.Exclusive, h.Watches, h.Until = true, []linear.Watch{w}, revision
	return h, reads
}
