package serviceaccount

import (
	lru "github.com/hashicorp/golang-lru/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// How many tokens and objects are remembered.
const (
	knownTokens  = 2048
	knownObjects = 8192
)

// cache remembers the claims of tokens whose signature was good, and the metadata of
// the objects they are bound to: a token that was seen before costs a few look-ups.
type cache struct {
	tokens  *lru.Cache[string, *verified]
	objects *lru.Cache[*state.Entry, *metav1.ObjectMeta]
}

func newCache() *cache {
	tokens, err := lru.New[string, *verified](knownTokens)
	if err != nil {
		panic(err) // Its size is positive.
	}
	objects, err := lru.New[*state.Entry, *metav1.ObjectMeta](knownObjects)
	if err != nil {
		panic(err)
	}
	return &cache{tokens: tokens, objects: objects}
}

// meta returns the metadata of an object in the view.
func (c *cache) meta(view state.View, resource, namespace, name string) (*metav1.ObjectMeta, bool) {
	e, ok := view.Get(state.Key{Resource: resource, Namespace: namespace, Name: name})
	if !ok {
		return nil, false
	}
	if meta, ok := c.objects.Get(e); ok {
		return meta, true
	}
	var obj metav1.PartialObjectMetadata // Every object begins with it.
	if obj.Unmarshal(e.Value()) != nil {
		return nil, false
	}
	meta := &metav1.ObjectMeta{UID: obj.UID, DeletionTimestamp: obj.DeletionTimestamp}
	c.objects.Add(e, meta)
	return meta, true
}
