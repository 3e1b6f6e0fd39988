package state

import (
	"cmp"
	"strings"
	"sync"

	"k8s.io/utils/third_party/forked/golang/btree"
)

// degree of the trees: their nodes hold 17 to 35 items. A change copies the
// nodes above it, so larger ones would cost more of each, and smaller ones make
// deeper trees. The memory of the 17 items that a node begins with, when another
// one is split, is doubled once and then is enough. (With 16 it was doubled from
// 15 to 30 and again to 60, for 31.)
const degree = 18

// The trees of a version. They hold entries, not copies of their keys.
type (
	itemTree  = btree.BTree[item]
	dueTree   = btree.BTree[*Entry]
	groupTree = btree.BTree[*group]
)

// byExpiry orders entries as they expire.
func byExpiry(a, b *Entry) bool {
	return cmp.Or(cmp.Compare(a.Expires, b.Expires), a.Key.Plain().Compare(b.Key.Plain())) < 0
}

func byGroup(a, b *group) bool {
	return cmp.Or(strings.Compare(a.space.Resource, b.space.Resource), strings.Compare(a.space.Namespace, b.space.Namespace)) < 0
}

// snapshot is one version of the state. It is never modified.
type snapshot struct {
	revision uint64
	index    uint64
	count    int // of entries
	groups   *groupTree
	due      *dueTree // the entries that expire, by when they do

	// cloning is held while a tree is cloned, which writes to it. Versions share
	// the trees that did not change, and so the lock.
	cloning *sync.Mutex
}

func empty() *snapshot {
	return &snapshot{groups: btree.New(degree, byGroup), due: btree.New(degree, byExpiry), cloning: new(sync.Mutex)}
}

// group returns the entries of a namespace, nil if there are none.
func (s *snapshot) group(resource, namespace string) *group {
	p := probes.Get().(*probe)
	defer probes.Put(p)
	p.space.Resource, p.space.Namespace = resource, namespace
	g, _ := s.groups.Get(&p.group)
	return g
}

// probe is what trees are asked for, which they do by an item like theirs.
type probe struct {
	entry Entry
	group group
	space Space
}

var probes = sync.Pool{New: func() any {
	p := new(probe)
	p.group.space, p.entry.Key.Space = &p.space, &p.space
	return p
}}

// clone returns a tree of the version that may be modified, in no time: it
// copies what it changes.
func clone[T any](s *snapshot, tree *btree.BTree[T]) *btree.BTree[T] {
	s.cloning.Lock()
	defer s.cloning.Unlock()
	return tree.Clone()
}
