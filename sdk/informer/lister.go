package informer

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/sdk"
)

// Lister reads the cache of an Informer, one namespace of it or all. What it returns is
// shared and must not be modified; slices are the caller's, in no particular order.
type Lister[T sdk.Object] struct {
	store     *store[T]
	namespace string
}

// Lister returns a reader of a namespace, or of all if that is empty. With an index
// by ByNamespace of the name NamespaceIndex it looks at no others.
func (i *Informer[T]) Lister(namespace string) Lister[T] {
	return Lister[T]{store: i.store, namespace: namespace}
}

// NamespaceIndex is the name of the index that a Lister of one namespace uses.
const NamespaceIndex = "namespace"

// ByNamespace is the function of that index.
func ByNamespace[T sdk.Object](obj T) []string { return []string{obj.GetNamespace()} }

// Get returns an object of the namespace. Of a Lister of all namespaces it finds only
// what has none.
func (l Lister[T]) Get(name string) (T, bool) { return l.store.get(l.namespace, name) }

// List returns the objects that a selector matches; nil is all.
func (l Lister[T]) List(selector labels.Selector) []T {
	var objects []T
	if l.namespace != "" && l.store.indexed(NamespaceIndex) {
		objects = l.store.byIndex(NamespaceIndex, l.namespace)
	} else {
		objects = l.store.list()
	}
	out := objects[:0]
	for _, obj := range objects {
		if (l.namespace == "" || obj.GetNamespace() == l.namespace) && (selector == nil || selector.Matches(labels.Set(obj.GetLabels()))) {
			out = append(out, obj)
		}
	}
	return out
}
