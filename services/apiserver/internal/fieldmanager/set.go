package fieldmanager

import (
	"cmp"
	"strconv"
	"strings"
)

// A set of fields is a tree, as the FieldsV1 that it is written as: a node for each
// path element, with those below it in the order in which they are written.

// node is a path element: its field is in the set where member is true.
type node struct {
	kind   byte // 'f', 'k', 'v' or 'i', as in FieldsV1
	key    string
	member bool
	first  *node // child
	next   *node // sibling
}

// arena gives out nodes, all of which are taken back at once.
type arena struct {
	blocks [][]node
	used   int // of the last block in use
	block  int
}

const arenaBlock = 256 // nodes

func (a *arena) new(kind byte, key string) *node {
	if a.block == len(a.blocks) {
		a.blocks = append(a.blocks, make([]node, arenaBlock))
	}
	n := &a.blocks[a.block][a.used]
	n.kind, n.key = kind, key
	if a.used++; a.used == arenaBlock {
		a.block, a.used = a.block+1, 0
	}
	return n
}

// reset takes all nodes back.
func (a *arena) reset() {
	for i := 0; i <= a.block && i < len(a.blocks); i++ {
		clear(a.blocks[i]) // They hold strings of objects.
	}
	a.block, a.used = 0, 0
	if len(a.blocks) > 4 {
		a.blocks = a.blocks[:4] // One large object shall not cost memory for ever.
	}
}

// list appends nodes in order.
type list struct{ first, last *node }

func (l *list) add(n *node) {
	n.next = nil
	if l.first == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
}

// compare orders path elements as structured-merge-diff does.
func compare(a, b *node) int {
	if a.kind != b.kind {
		return strings.IndexByte(kinds, a.kind) - strings.IndexByte(kinds, b.kind)
	}
	if a.kind != 'f' {
		return compareKeyed(a.key, b.key)
	}
	return strings.Compare(a.key, b.key)
}

// kinds are those of path elements, in their order.
const kinds = "fkvi"

// compareKeyed orders the keys of list items, which are written as JSON within JSON:
// texts as such, numbers by value, and what has fewer fields first.
func compareKeyed(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) && i == len(b) {
		return 0
	}
	// Back to where the number begins that they differ in, if it is one.
	start := i
	for start > 0 && (digit(a[start-1]) || a[start-1] == '-') {
		start--
	}
	if start == 0 || start > 1 && a[start-2:start] == `":` {
		return compareNumbers(a[start:], b[start:])
	}
	if ended(a, i) != ended(b, i) {
		if ended(a, i) {
			return -1
		}
		return 1
	}
	return strings.Compare(a[i:], b[i:])
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// ended tells whether a text, or all of a key, ends at i.
func ended(s string, i int) bool {
	return i >= len(s) || s[i] == '\\' || s[i] == '}' && i == len(s)-1
}

func compareNumbers(a, b string) int {
	x, y := number(a), number(b)
	if x != y {
		return cmp.Compare(x, y)
	}
	if ended(a, digits(a)) {
		return -1
	}
	return 1 // The same numbers, and more fields behind one of them.
}

func digits(s string) int {
	n := 0
	for n < len(s) && (digit(s[n]) || s[n] == '-') {
		n++
	}
	return n
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s[:digits(s)], 10, 64)
	return n
}

// without returns the nodes of a that are not in b, which are the same if none is.
func (a *arena) without(from, what *node) *node {
	if from == nil || what == nil {
		return from
	}
	var out list
	changed := false
	for n := from; n != nil; n = n.next {
		for what != nil && compare(what, n) < 0 {
			what = what.next
		}
		kept := n
		if what != nil && compare(what, n) == 0 {
			kept = a.nodeWithout(n, what)
		}
		changed = changed || kept != n
		if kept != nil {
			copied := a.new(kept.kind, kept.key)
			copied.member, copied.first = kept.member, kept.first
			out.add(copied)
		}
	}
	if !changed {
		return from
	}
	return out.first
}

// nodeWithout is without for one node; nil is that nothing is left.
func (a *arena) nodeWithout(n, what *node) *node {
	member, first := n.member && !what.member, a.without(n.first, what.first)
	switch {
	case member == n.member && first == n.first:
		return n
	case !member && first == nil:
		return nil
	}
	out := a.new(n.kind, n.key)
	out.member, out.first = member, first
	return out
}

// with returns the nodes of both, which are those of a if it has all of b.
func (a *arena) with(to, what *node) *node {
	if what == nil {
		return to
	}
	var out list
	changed := false
	for n := to; n != nil || what != nil; {
		var copied *node
		switch c := order(n, what); {
		case c < 0:
			copied = a.copy(n)
			n = n.next
		case c > 0:
			copied, changed = a.copy(what), true
			what = what.next
		default:
			copied = a.copy(n)
			copied.member, copied.first = n.member || what.member, a.with(n.first, what.first)
			changed = changed || copied.member != n.member || copied.first != n.first
			n, what = n.next, what.next
		}
		out.add(copied)
	}
	if !changed {
		return to
	}
	return out.first
}

// order is compare, with nil after all others.
func order(a, b *node) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return compare(a, b)
}

func (a *arena) copy(n *node) *node {
	out := a.new(n.kind, n.key)
	out.member, out.first = n.member, n.first
	return out
}
