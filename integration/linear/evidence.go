package linear

import (
	"fmt"
	"math"
	"slices"
)

// evidence is what the whole history tells of single writes, whoever learned it:
// at which revision a value was written, and at which one it was removed. It
// settles most of the operations whose answer was lost, which porcupine would
// else have to try at every place.
type evidence struct {
	written map[string]Item   // by value
	removed map[string]uint64 // by the last value: revision of the deletion
	watched map[string]bool   // ranges in which what is not here did not happen
	faults  []string
}

func (h *History) evidence() *evidence {
	e := &evidence{written: map[string]Item{}, removed: map[string]uint64{}, watched: h.watched()}
	for _, op := range h.Operations {
		for _, item := range op.Response.Items {
			e.saw(item, op.Request.String())
		}
		for i, revision := range op.Response.Revisions {
			if s := op.Request.Steps[i]; revision != 0 && s.Verb != Delete {
				e.saw(Item{s.Key, s.Value, revision}, "the answer to "+op.Request.String())
			}
		}
	}
	for _, w := range h.Watches {
		for _, r := range w.Records {
			switch r.Kind {
			case Initial, Added, Modified:
				e.saw(r.Item, "watcher "+w.Name)
			case Deleted:
				e.gone(r.Item, "watcher "+w.Name)
			}
		}
	}
	e.fromWriters(h.Operations)
	return e
}

// watched are the ranges of which some watcher saw all. One that was told to begin
// anew saw the present state only: what was written and removed again meanwhile, and
// when something was removed, it cannot tell.
func (h *History) watched() map[string]bool {
	watched := map[string]bool{}
	for _, w := range h.Watches {
		if h.Exclusive && !slices.ContainsFunc(w.Records, func(r Record) bool { return r.Kind == Expired }) {
			watched[w.Range] = true
		}
	}
	return watched
}

// saw notes that a value was seen at a revision.
func (e *evidence) saw(item Item, by string) {
	before, known := e.written[item.Value]
	switch {
	case !known:
		e.written[item.Value] = item
	case before != item:
		e.fault("%s shows %s=%s at revision %d, others show %s at %d: it was applied twice, or changed",
			by, item.Key, item.Value, item.Revision, before.Key, before.Revision)
	}
}

// gone notes that a key was deleted while it had a value.
func (e *evidence) gone(item Item, by string) {
	before, known := e.removed[item.Value]
	if known && before != item.Revision {
		e.fault("%s saw %s=%s deleted at revision %d, others at %d", by, item.Key, item.Value, item.Revision, before)
	}
	e.removed[item.Value] = item.Revision
}

// fromWriters holds what was seen against what was asked for.
func (e *evidence) fromWriters(operations []Operation) {
	keys := map[string]bool{}
	writers := map[string]Operation{}
	for _, op := range operations {
		for _, s := range op.Request.Steps {
			keys[s.Key] = true
			if s.Verb != Delete {
				writers[s.Value] = op
			}
		}
	}
	for value, item := range e.written {
		op, known := writers[value]
		switch {
		case known && op.Response.Outcome == Refused:
			e.fault("%s=%s is there at revision %d, but was refused: %v", item.Key, value, item.Revision, op)
		case !known && keys[item.Key]:
			e.fault("%s=%s is there at revision %d, and nobody wrote it", item.Key, value, item.Revision)
		}
	}
}

func (e *evidence) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// settle completes an operation by what is known. It returns false for one that
// tells nothing, or is known not to have happened.
func (e *evidence) settle(op Operation) (Operation, bool) {
	switch {
	case op.Response.Outcome == Refused:
		return op, foretold[op.Response.Reason]
	case len(op.Request.Steps) == 0:
		return op, op.Response.Outcome == Done
	}
	seen, unseen := false, false
	revisions := make([]uint64, len(op.Request.Steps))
	copy(revisions, op.Response.Revisions)
	for i, s := range op.Request.Steps {
		if s.Verb == Delete {
			continue
		}
		if item, ok := e.written[s.Value]; ok {
			revisions[i], seen = item.Revision, true
		} else if e.watched[rangeOf(s.Key)] {
			unseen = true
		}
	}
	op.Response.Revisions = revisions
	if op.Response.Outcome == Unknown {
		op.Return = math.MaxInt64 // it is open to the end
		if seen {
			op.Response.Outcome = Done
		}
		return op, seen || !unseen
	}
	return op, true
}
