package state

import (
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"
)

// namesKept bounds the spaces, and the lists of index values, that are remembered.
const namesKept = 1 << 14

// names has one copy of what many entries have in common. It only spares memory:
// what it forgets is kept twice.
type names struct {
	spaces  map[Space]*Space
	strings map[string]string
	indexes map[string]*[]string // by their values, joined
	joined  []byte               // kept for its memory
}

func newNames() *names {
	return &names{spaces: make(map[Space]*Space), strings: make(map[string]string), indexes: make(map[string]*[]string)}
}

// space returns the space for values that are packed with some words, in place of
// another one for the same keys.
func (n *names) space(s *Space, words *s2.Dict) *Space {
	if s.words == words {
		return s
	}
	wanted := Space{Resource: s.Resource, Namespace: s.Namespace, words: words}
	if known, ok := n.spaces[wanted]; ok {
		return known
	}
	if len(n.spaces) >= namesKept {
		clear(n.spaces)
	}
	n.spaces[wanted] = &wanted
	return &wanted
}

// index returns a copy of the values.
func (n *names) index(values []string) *[]string {
	if len(values) == 0 {
		return nil
	}
	n.joined = n.joined[:0]
	for _, v := range values {
		n.joined = append(append(n.joined, v...), separator...)
	}
	// Values that hold the separator may join to what others do.
	if known, ok := n.indexes[string(n.joined)]; ok && slices.Equal(*known, values) {
		return known
	}
	if len(n.indexes) >= namesKept {
		clear(n.indexes)
	}
	kept := make([]string, len(values))
	for i, v := range values {
		kept[i] = n.of(v)
	}
	n.indexes[string(n.joined)] = &kept
	return &kept
}

func (n *names) of(s string) string {
	if known, ok := n.strings[s]; ok {
		return known
	}
	if len(n.strings) >= namesKept {
		clear(n.strings)
	}
	s = strings.Clone(s)
	n.strings[s] = s
	return s
}
