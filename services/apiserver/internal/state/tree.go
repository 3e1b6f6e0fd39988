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
	entryTree = btree.BTree[*Entry]
	groupTree = btree.BTree[*group]
)

// group counts the entries of a resource or, where the namespace is not empty,
// of a namespace of it. It is there while there are any.
type group struct {
	resource, namespace string
	entries             int
}

// byKey orders entries as Key.Compare does. It is most of what finding one takes:
// keys are not copied, and what they mostly share is looked at once.
func byKey(a, b *Entry) bool {
	switch {
	case a.Key.Resource != b.Key.Resource:
		return a.Key.Resource < b.Key.Resource
	case a.Key.Namespace != b.Key.Namespace:
		return a.Key.Namespace < b.Key.Namespace
	}
	return a.Key.Name < b.Key.Name
}

// byExpiry orders entries as they expire.
func byExpiry(a, b *Entry) bool {
	return cmp.Or(cmp.Compare(a.Expires, b.Expires), a.Key.Compare(b.Key)) < 0
}

func byName(a, b *group) bool {
	return cmp.Or(strings.Compare(a.resource, b.resource), strings.Compare(a.namespace, b.namespace)) < 0
}

// snapshot is one version of the state. It is never modified.
type snapshot struct {
	revision uint64
	index    uint64
	entries  *entryTree
	groups   *groupTree
	due      *entryTree // the entries that expire, by when they do

	// cloning is held while a tree is cloned, which writes to it. Versions share
	// the trees that did not change, and so the lock.
	cloning *sync.Mutex
}

func empty() *snapshot {
	return &snapshot{
		entries: btree.New(degree, byKey), groups: btree.New(degree, byName), due: btree.New(degree, byExpiry),
		cloning: new(sync.Mutex),
	}
}

// clone returns a tree of the version that may be modified, in no time: it
// copies what it changes.
func clone[T any](s *snapshot, tree *btree.BTree[T]) *btree.BTree[T] {
	s.cloning.Lock()
	defer s.cloning.Unlock()
	return tree.Clone()
}
