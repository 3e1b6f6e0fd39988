package state

import (
	"encoding/binary"
	"iter"
	"math"
	"strings"

	"k8s.io/utils/third_party/forked/golang/btree"
)

// prefixAfter is how many entries a group has when it looks for what their names
// have in common, and again each time that it has prefixGrowth times as many.
const prefixAfter, prefixGrowth = 64, 4

// group is the entries of one namespace of a resource, or those without one. It
// is there while it has any; the one of no namespace also counts all others.
type group struct {
	space  *Space
	count  int // of entries; without a namespace all of the resource's
	items  *itemTree
	prefix string // that hints skip
	chosen int    // how many entries there were when prefix was chosen
}

// item is an entry with some bytes of its name. Entries lie about in memory, so
// looking at them is most of what it takes to find one; hints lie side by side.
type item struct {
	hint uint64
	*Entry
}

func byHint(a, b item) bool {
	if a.hint != b.hint {
		return a.hint < b.hint
	}
	return a.Key.Name < b.Key.Name
}

func newGroup(resource, namespace string) *group {
	return &group{space: newSpace(resource, namespace), items: btree.New(degree, byHint)}
}

// copy returns the group with a copy of its items, to be changed.
func (g *group) copy(items *itemTree) *group {
	changed := *g
	changed.items = items
	return &changed
}

// item returns an entry as the group orders it.
func (g *group) item(e *Entry) item { return item{hint(e.Key.Name, g.prefix), e} }

// hint returns a number for a name that is never larger than that of a name behind
// it: what follows the prefix, or one of the ends for a name that has not got it.
func hint(name, prefix string) uint64 {
	switch {
	case strings.HasPrefix(name, prefix):
		var first [8]byte
		copy(first[:], name[len(prefix):])
		return binary.BigEndian.Uint64(first[:])
	case name < prefix:
		return 0
	}
	return math.MaxUint64
}

func (g *group) get(name string) (*Entry, bool) {
	p := probes.Get().(*probe)
	defer probes.Put(p)
	p.entry.Key.Name = name
	found, ok := g.items.Get(g.item(&p.entry))
	return found.Entry, ok
}

// put stores an entry and returns the one that it replaces, nil if there is none.
func (g *group) put(e *Entry) *Entry {
	prev, replaced := g.items.ReplaceOrInsert(g.item(e))
	if !replaced && g.items.Len() >= max(prefixAfter, prefixGrowth*g.chosen) {
		g.choose()
	}
	return prev.Entry
}

func (g *group) delete(e *Entry) { g.items.Delete(g.item(e)) }

// choose makes prefix what all names begin with.
func (g *group) choose() {
	g.chosen = g.items.Len()
	least, _ := g.items.Min()
	most, _ := g.items.Max()
	prefix := common(least.Key.Name, most.Key.Name)
	if prefix == g.prefix {
		return
	}
	g.prefix = prefix
	old := g.items
	g.items = btree.New(degree, byHint)
	old.Ascend(func(i item) bool {
		g.items.ReplaceOrInsert(g.item(i.Entry))
		return true
	})
}

// common returns what both begin with.
func common(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return strings.Clone(a[:n])
}

// from yields the entries whose name is not before another one.
func (g *group) from(name string) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		g.items.AscendGreaterOrEqual(g.item(&Entry{Key: StoredKey{Name: name}}), func(i item) bool { return yield(i.Entry) })
	}
}
