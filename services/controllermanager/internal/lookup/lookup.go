// Package lookup finds cached objects by their controlling owner and pods by
// their node, through indexes that the controllers share.
package lookup

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
)

const (
	ownerIndex     = "owner"
	nodeIndex      = "node"
	namespaceIndex = "namespace"
	// orphanPrefix cannot begin a UID.
	orphanPrefix = "orphans:"
)

// ByOwner is a cache that finds what an object controls, and what it could.
type ByOwner[T sdk.Object] struct{ *informer.Informer[T] }

// Owners returns the shared cache of T with its owner index. Call it before the
// caches run.
func Owners[T sdk.Object](caches *controller.Caches) ByOwner[T] {
	cache := controller.Cache[T](caches)
	cache.AddIndex(ownerIndex, func(obj T) []string {
		if ref := metav1.GetControllerOfNoCopy(obj); ref != nil {
			return []string{string(ref.UID)}
		}
		return []string{orphanPrefix + obj.GetNamespace()}
	})
	return ByOwner[T]{cache}
}

// Of returns what the owner controls.
func (b ByOwner[T]) Of(owner types.UID) []T { return b.ByIndex(ownerIndex, string(owner)) }

// Candidates returns what the owner controls and what nobody does in its
// namespace. It is one look at the cache: what the owner has just adopted goes
// from the ones to the others, and who looked twice could miss it in both.
func (b ByOwner[T]) Candidates(owner metav1.Object) []T {
	return b.ByIndexAny(ownerIndex, string(owner.GetUID()), orphanPrefix+owner.GetNamespace())
}

// ByNamespace is a cache that finds what is in a namespace.
type ByNamespace[T sdk.Object] struct{ *informer.Informer[T] }

// Namespaces returns the shared cache of T with its namespace index. Call it
// before the caches run.
func Namespaces[T sdk.Object](caches *controller.Caches) ByNamespace[T] {
	cache := controller.Cache[T](caches)
	cache.AddIndex(namespaceIndex, func(obj T) []string { return []string{obj.GetNamespace()} })
	return ByNamespace[T]{cache}
}

// In returns what is in the namespace.
func (b ByNamespace[T]) In(namespace string) []T { return b.ByIndex(namespaceIndex, namespace) }

// ByNode is a cache that finds the pods of a node.
type ByNode struct {
	*informer.Informer[*corev1.Pod]
}

// Nodes returns the shared cache of pods with its node index. Call it before the
// caches run.
func Nodes(caches *controller.Caches) ByNode {
	cache := controller.Cache[*corev1.Pod](caches)
	cache.AddIndex(nodeIndex, func(pod *corev1.Pod) []string {
		if pod.Spec.NodeName == "" {
			return nil
		}
		return []string{pod.Spec.NodeName}
	})
	return ByNode{cache}
}

// On returns the pods bound to the node.
func (b ByNode) On(node string) []*corev1.Pod { return b.ByIndex(nodeIndex, node) }
