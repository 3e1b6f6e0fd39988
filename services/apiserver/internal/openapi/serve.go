package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/handler3"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const v3Path = "/openapi/v3"

// Cache serves the documents. Each is made when it is first asked for, and kept
// compressed: their Go form, and even their JSON, would be most of what an idle
// server holds in memory.
type Cache struct {
	v2    *rendered
	v3    map[string]*rendered // by path below v3Path: "apis/apps/v1"
	index func() (*rendered, error)
}

// NewCache returns a Cache for the kinds of a server of that version.
func NewCache(kinds []*registry.Kind, version string) *Cache {
	c := &Cache{v3: map[string]*rendered{}}
	c.v2 = &rendered{
		json: sync.OnceValues(func() (*packed, error) { return pack(Document(kinds, version).MarshalJSON()) }),
		toProto: func(doc []byte) (proto.Message, error) {
			return openapi_v2.ParseDocument(doc)
		},
		media: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
	}
	for _, gv := range groupVersions(kinds) {
		c.v3[strings.TrimPrefix(root(gv), "/")] = renderedV3(kinds, gv, version)
	}
	c.index = sync.OnceValues(c.makeIndex)
	return c
}

func renderedV3(kinds []*registry.Kind, gv schema.GroupVersion, version string) *rendered {
	return &rendered{
		json: sync.OnceValues(func() (*packed, error) { return pack(json.Marshal(DocumentV3(kinds, gv, version))) }),
		toProto: func(doc []byte) (proto.Message, error) {
			return openapi_v3.ParseDocument(doc)
		},
		media: "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
	}
}

// makeIndex lists the documents of v3 with their hashes, by which clients cache them.
func (c *Cache) makeIndex() (*rendered, error) {
	index := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	for path, document := range c.v3 {
		doc, err := document.json()
		if err != nil {
			return nil, fmt.Errorf("make document %s: %w", path, err)
		}
		index.Paths[path] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: relativeURL(path, doc.hash)}
	}
	out, err := pack(json.Marshal(index))
	return &rendered{json: func() (*packed, error) { return out, err }}, err
}

func relativeURL(path, hash string) string {
	return v3Path + "/" + path + "?hash=" + url.QueryEscape(hash)
}

// ServeHTTP answers requests below /openapi/.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; path {
	case "/openapi/v2":
		c.v2.serve(w, r)
	case v3Path:
		index, err := c.index()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		index.serve(w, r)
	default:
		c.serveVersion(w, r, strings.TrimPrefix(path, v3Path+"/"))
	}
}

// serveVersion answers with the document of one group version. One that was asked for
// by its hash never changes.
func (c *Cache) serveVersion(w http.ResponseWriter, r *http.Request, path string) {
	document, ok := c.v3[path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if hash := r.URL.Query().Get("hash"); hash != "" {
		doc, err := document.json()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if hash != doc.hash {
			http.Redirect(w, r, relativeURL(path, doc.hash), http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", yearFromNow())
	}
	document.serve(w, r)
}
