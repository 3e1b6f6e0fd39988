// Package kinds finds the kinds that controllers handle whatever they are: all that a
// namespace may hold, all that may own or be owned.
package kinds

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
)

// All returns the kinds whose objects are stored and can be deleted, each once.
func All(ctx context.Context, client *sdk.Client) ([]sdk.Kind, error) {
	served, err := client.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(served, func(k sdk.Kind) bool {
		return k.StoredType != "" || !slices.Contains(k.Verbs, "list") || !slices.Contains(k.Verbs, "delete")
	}), nil
}

const ownersIndex = "owners"

// Cache is the metadata of a kind's objects, by owner.
type Cache struct {
	*informer.Informer[*metav1.PartialObjectMetadata]
}

// Cached returns the cache of a kind; call it before the caches run.
func Cached(caches *controller.Caches, k sdk.Kind) Cache {
	cache := controller.MetadataCache(caches, k.Type)
	cache.Trim(func(obj *metav1.PartialObjectMetadata) {
		obj.ManagedFields, obj.Annotations, obj.Labels = nil, nil, nil
	})
	cache.AddIndex(ownersIndex, func(obj *metav1.PartialObjectMetadata) []string {
		var uids []string
		for _, ref := range obj.OwnerReferences {
			uids = append(uids, string(ref.UID))
		}
		return uids
	})
	return Cache{cache}
}

// OwnedBy returns the objects with an owner reference to the UID.
func (c Cache) OwnedBy(owner types.UID) []*metav1.PartialObjectMetadata {
	return c.ByIndex(ownersIndex, string(owner))
}
