package openapi

import (
	"net/http"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Cache serves the documents; it makes them when they are first asked for.
type Cache struct {
	build func() *http.ServeMux
}

// NewCache returns a Cache for the kinds of a server of that version.
func NewCache(kinds []*registry.Kind, version string) *Cache {
	return &Cache{build: sync.OnceValue(func() *http.ServeMux { return newMux(kinds, version) })}
}

// ServeHTTP answers requests below /openapi/.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.build().ServeHTTP(w, r)
}

func newMux(kinds []*registry.Kind, version string) *http.ServeMux {
	mux := http.NewServeMux()
	handler.NewOpenAPIService(Document(kinds, version)).RegisterOpenAPIVersionedService("/openapi/v2", mux)
	v3 := handler3.NewOpenAPIService()
	groups := map[schema.GroupVersion][]*registry.Kind{}
	for _, k := range kinds {
		groups[k.GVK.GroupVersion()] = append(groups[k.GVK.GroupVersion()], k)
	}
	for gv, members := range groups {
		v3.UpdateGroupVersion(strings.TrimPrefix(root(gv), "/"), DocumentV3(members, version))
	}
	mux.HandleFunc("/openapi/v3", v3.HandleDiscovery)
	mux.HandleFunc("/openapi/v3/", v3.HandleGroupVersion)
	return mux
}
