package linear

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Report is what became of a check.
type Report struct {
	// Violations of what the store promises, in words.
	Violations []string
	// Parts is into how many sets of keys the operations fell.
	Parts int
	// Undecided says that time ran out before an order was found or excluded.
	Undecided bool

	broken *part
	info   porcupine.LinearizationInfo
}

// Check judges a history: its operations within a time, and its watches.
func Check(h *History, within time.Duration) (*Report, error) {
	e := h.evidence()
	r := &Report{Violations: slices.Clone(e.faults)}
	parts, err := split(h.Operations, e)
	if err != nil {
		return nil, err
	}
	r.Parts = len(parts)
	for _, p := range parts {
		r.check(p, within)
	}
	r.Violations = distinct(append(r.Violations, h.checkWatches()...))
	return r, nil
}

// mostViolations bounds what a report tells: one fault is often seen by many.
const mostViolations = 40

func distinct(violations []string) []string {
	var out []string
	for _, v := range violations {
		if !slices.Contains(out, v) && len(out) < mostViolations {
			out = append(out, v)
		}
	}
	return out
}

func (r *Report) check(p *part, within time.Duration) {
	result, info := porcupine.CheckOperationsVerbose(p.model(), p.forPorcupine(), within)
	switch result {
	case porcupine.Unknown:
		r.Undecided = true
	case porcupine.Illegal:
		r.Violations = append(r.Violations, fmt.Sprintf("no order of the operations on %v explains their answers: %s", p.keys, p.stuck(info)))
		r.broken, r.info = p, info
	}
}

func (p *part) forPorcupine() []porcupine.Operation {
	var out []porcupine.Operation
	for _, op := range p.operations {
		out = append(out, porcupine.Operation{ClientId: op.Client, Input: op.Request, Output: op.Response, Call: op.Call, Return: op.Return})
	}
	return out
}

// stuck tells how far the longest order came and what does not fit behind it.
func (p *part) stuck(info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, orders := range info.PartialLinearizationsOperations() {
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed, w := map[int64]bool{}, world{}
	for _, op := range longest {
		placed[op.Call] = true
		p.step(&w, op.Input.(Request), op.Output.(Response))
	}
	text := fmt.Sprintf("%d of %d fit, up to {%s}; then the next to return is ", len(longest), len(p.operations), p.describe(w))
	next := slices.DeleteFunc(slices.Clone(p.operations), func(op Operation) bool { return placed[op.Call] || op.Return == math.MaxInt64 })
	slices.SortFunc(next, func(a, b Operation) int { return int(a.Return - b.Return) })
	if len(next) == 0 {
		return text + "none"
	}
	return text + next[0].String()
}

// Visualize writes a page that shows the operations for which no order was
// found. It does nothing when there are none.
func (r *Report) Visualize(w io.Writer) error {
	if r.broken == nil {
		return nil
	}
	if err := porcupine.Visualize(r.broken.model(), r.info, w); err != nil {
		return fmt.Errorf("visualize history: %w", err)
	}
	return nil
}

// split divides operations by the keys that they tie together: those that have
// no key in common, not even by way of others, can be judged apart.
func split(operations []Operation, e *evidence) ([]*part, error) {
	groups := newGroups()
	for _, op := range operations {
		for _, s := range op.Request.Steps {
			groups.join(op.Request.Steps[0].Key, s.Key)
		}
		if op.Request.Get != "" {
			groups.join(op.Request.Get, op.Request.Get)
		}
	}
	for _, op := range operations {
		for _, key := range groups.within(op.Request.List) {
			groups.join(groups.within(op.Request.List)[0], key)
		}
	}
	parts := map[string]*part{}
	for _, key := range groups.keys {
		root := groups.root(key)
		if parts[root] == nil {
			parts[root] = &part{index: map[string]int{}, evidence: e}
		}
		p := parts[root]
		p.index[key] = len(p.keys)
		p.keys = append(p.keys, key)
		if len(p.keys) > maxKeys {
			return nil, fmt.Errorf("check history: more than %d keys hang together", maxKeys)
		}
	}
	var all []*part
	for _, op := range operations {
		key := groups.keyOf(op.Request)
		if done, matters := e.settle(op); matters && key != "" {
			p := parts[groups.root(key)]
			p.operations = append(p.operations, done)
		}
	}
	for _, key := range groups.keys {
		if p := parts[groups.root(key)]; !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}

// groups are disjoint sets of keys.
type groups struct {
	parent map[string]string
	keys   []string // in the order of their coming
}

func newGroups() *groups { return &groups{parent: map[string]string{}} }

func (g *groups) root(key string) string {
	for g.parent[key] != key {
		key = g.parent[key]
	}
	return key
}

func (g *groups) join(a, b string) {
	for _, key := range []string{a, b} {
		if _, known := g.parent[key]; !known {
			g.parent[key] = key
			g.keys = append(g.keys, key)
		}
	}
	g.parent[g.root(a)] = g.root(b)
}

// within lists the keys of a range.
func (g *groups) within(r string) []string {
	var out []string
	for _, key := range g.keys {
		if r != "" && rangeOf(key) == r {
			out = append(out, key)
		}
	}
	return out
}

// keyOf is one of the keys of a request; "" for a list of an empty range.
func (g *groups) keyOf(r Request) string {
	switch {
	case r.Get != "":
		return r.Get
	case len(r.Steps) > 0:
		return r.Steps[0].Key
	}
	if keys := g.within(r.List); len(keys) > 0 {
		return keys[0]
	}
	return ""
}
