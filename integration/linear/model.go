package linear

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// maxKeys bounds the keys that are judged together. The state is compared and
// copied at every step, so it is an array.
const maxKeys = 16

// cell is what a key holds. A value that is "" is absent; a revision that is 0
// is not known.
type cell struct {
	value    string
	revision uint64
}

// world is the state of the model: a small map whose changes carry revisions
// that only grow.
type world struct {
	last  uint64 // revision behind which all further changes come
	cells [maxKeys]cell
}

// part is a set of keys that operations tie together, and those operations.
type part struct {
	index      map[string]int // of a key in the world
	keys       []string
	operations []Operation
	evidence   *evidence
}

func (p *part) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return world{} },
		Step: func(state, input, output any) (bool, any) {
			next := state.(world)
			ok := p.step(&next, input.(Request), output.(Response))
			return ok, next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v -> %v", input, output) },
		DescribeState:     func(state any) string { return p.describe(state.(world)) },
	}
}

func (p *part) describe(w world) string {
	text := []string{fmt.Sprintf("revision %d", w.last)}
	for i, c := range w.cells[:len(p.keys)] {
		if c.value != "" {
			text = append(text, fmt.Sprintf("%s=%s at %d", p.keys[i], c.value, c.revision))
		}
	}
	return strings.Join(text, ", ")
}

// step says whether a request may be answered so in a world, and changes it.
func (p *part) step(w *world, request Request, response Response) bool {
	switch {
	case request.Get != "":
		return p.get(w, request.Get, response.Items)
	case request.List != "":
		return p.list(w, request.List, response)
	}
	at, reason := p.refusal(w, request.Steps)
	switch response.Outcome {
	case Refused:
		return reason == response.Reason && at == response.At || p.mayConflict(w, request.Steps, response)
	case Unknown:
		// It may never be carried out: then it stands at the end, or where it
		// could not be.
		if next := *w; reason == "" && p.apply(&next, request.Steps, response.Revisions) {
			*w = next
		}
		return true
	}
	return reason == "" && p.apply(w, request.Steps, response.Revisions)
}

// holds says whether a cell is what was read. A write whose revision was not
// known gets it here.
func holds(c *cell, item Item) bool {
	if c.value != item.Value || c.revision != 0 && c.revision != item.Revision {
		return false
	}
	c.revision = item.Revision
	return true
}

func (p *part) get(w *world, key string, items []Item) bool {
	c := &w.cells[p.index[key]]
	if len(items) == 0 {
		return c.value == ""
	}
	return holds(c, items[0])
}

// list is a read of all keys of a range, and of the revision of the store.
func (p *part) list(w *world, r string, response Response) bool {
	if response.Revision < w.last {
		return false
	}
	found := 0
	for _, item := range response.Items {
		i, known := p.index[item.Key]
		if !known {
			continue // not of this history
		}
		if !holds(&w.cells[i], item) {
			return false
		}
		found++
	}
	for i, key := range p.keys {
		if w.cells[i].value != "" && rangeOf(key) == r {
			found--
		}
	}
	w.last = response.Revision
	return found == 0
}

// refusal is the first step that does not hold, and why; "" if all do.
func (p *part) refusal(w *world, steps []Step) (at int, reason string) {
	for i, s := range steps {
		c := w.cells[p.index[s.Key]]
		switch {
		case s.Verb == Create && c.value != "":
			return i, AlreadyExists
		case s.Verb != Create && c.value == "":
			return i, NotFound
		case s.If != 0 && c.revision != 0 && c.revision != s.If:
			return i, Conflict
		}
	}
	return 0, ""
}

// mayConflict says whether a step was refused for a revision that is not known
// here.
func (p *part) mayConflict(w *world, steps []Step, response Response) bool {
	s := steps[response.At]
	c := w.cells[p.index[s.Key]]
	return response.Reason == Conflict && s.If != 0 && c.value != "" && c.revision == 0
}

// apply carries the steps out. Revisions grow, within a transaction too.
func (p *part) apply(w *world, steps []Step, revisions []uint64) bool {
	for i, s := range steps {
		c := &w.cells[p.index[s.Key]]
		var revision uint64
		if i < len(revisions) {
			revision = revisions[i]
		}
		next := cell{value: s.Value, revision: revision}
		if s.Verb == Delete {
			var seen bool
			if revision, seen = p.evidence.removed[c.value]; !seen && p.evidence.watched[rangeOf(s.Key)] {
				return false
			}
			next = cell{}
		}
		if revision != 0 {
			if revision <= w.last {
				return false
			}
			w.last = revision
		}
		*c = next
	}
	return true
}
