package state

import (
	"cmp"
	"strings"
	"sync"

	"k8s.io/utils/third_party/forked/golang/btree"
)

// degree of the trees: their nodes hold 15 to 31 items. A change copies the
// nodes above it, so larger ones would cost more of each, and smaller ones make
// deeper trees.
const degree = 16

// The trees of a version. They hold entries, not copies of their keys.
type (
	itemTree  = btree.BTree[item]
	dueTree   = btree.BTree[*Entry]
	groupTree = btree.BTree[*group]
)

// byExpiry orders entries as they expire.
func byExpiry(a, b *Entry) bool {
	return cmp.Or(cmp.Compare(a.Expires, b.Expires), a.Key.Compare(b.Key)) < 0
}

func byGroup(a, b *group) bool {
	return cmp.Or(strings.Compare(a.resource, b.resource), strings.Compare(a.namespace, b.namespace)) < 0
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
	g, _ := s.groups.Get(&group{resource: resource, namespace: namespace})
	return g
}

// clone returns a tree of the version that may be modified, in no time: it
// copies what it changes.
func clone[T any](s *snapshot, tree *btree.BTree[T]) *btree.BTree[T] {
	s.cloning.Lock()
	defer s.cloning.Unlock()
	return tree.Clone()
}
