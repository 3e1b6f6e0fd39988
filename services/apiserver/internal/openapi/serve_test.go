package openapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/openapi"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

func ask(cache *openapi.Cache, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	cache.ServeHTTP(w, r)
	return w
}

// TestHashes asks as clients do that keep documents by their hashes.
func TestHashes(t *testing.T) {
	cache := openapi.NewCache(catalog.All(registry.Options{}), "v1")
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal(body(t, cache, "/openapi/v3"), &index); err != nil {
		t.Fatal(err)
	}
	url := index.Paths["apis/apps/v1"].ServerRelativeURL
	whole := ask(cache, url)
	if whole.Code != http.StatusOK || whole.Header().Get("Cache-Control") != "public, immutable" || whole.Header().Get("Expires") == "" {
		t.Errorf("%s: %d %v", url, whole.Code, whole.Header())
	}
	tag := whole.Header().Get("Etag")
	if again := ask(cache, "/openapi/v3/apis/apps/v1", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("asked again: %d, %d bytes", again.Code, again.Body.Len())
	}
	other := ask(cache, "/openapi/v3/apis/apps/v1?hash=OLD")
	if other.Code != http.StatusMovedPermanently || other.Header().Get("Location") != url {
		t.Errorf("an old hash: %d to %q", other.Code, other.Header().Get("Location"))
	}
	if none := ask(cache, "/openapi/v3/apis/nothing/v1"); none.Code != http.StatusNotFound {
		t.Errorf("no such group: %d", none.Code)
	}
}

func TestForms(t *testing.T) {
	cache := openapi.NewCache(catalog.All(registry.Options{}), "v1")
	const path = "/openapi/v3/apis/apps/v1"
	for accept, want := range map[string]string{
		"":                     "application/json",
		"text/html, */*;q=0.1": "application/json",
		"application/com.github.proto-openapi.spec.v3@v1.0+protobuf": "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
		"application/com.github.proto-openapi.spec.v3.v1.0+protobuf": "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
	} {
		if w := ask(cache, path, "Accept", accept); w.Code != http.StatusOK || w.Header().Get("Content-Type") != want {
			t.Errorf("%q: %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := ask(cache, path, "Accept", "text/html"); w.Code != http.StatusNotAcceptable {
		t.Errorf("HTML: %d", w.Code)
	}
	zipped := ask(cache, path, "Accept-Encoding", "gzip")
	if zipped.Header().Get("Content-Encoding") != "gzip" || !strings.HasPrefix(zipped.Body.String(), "\x1f\x8b") {
		t.Errorf("gzip: %v", zipped.Header())
	}
}

// TestMarkers has one of each of what only the sources' comments tell.
func TestMarkers(t *testing.T) {
	cache := openapi.NewCache(catalog.All(registry.Options{}), "v1")
	var doc struct {
		Components struct{ Schemas map[string]schema }
		Paths      map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(body(t, cache, "/openapi/v3/api/v1"), &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc.Components.Schemas
	for path, want := range map[string]string{
		"Container.ports.x-kubernetes-list-type":          `"map"`,
		"Container.ports.x-kubernetes-list-map-keys":      `["containerPort","protocol"]`,
		"Container.imagePullPolicy.enum":                  `["Always","IfNotPresent","Never"]`,
		"ContainerPort.protocol.default":                  `"TCP"`,
		"ContainerPort.containerPort.default":             `0`,
		"ServiceSpec.selector.x-kubernetes-map-type":      `"atomic"`,
		"Pod.spec.default":                                `{}`,
		"ScaleIOVolumeSource.storageMode.default":         `"ThinProvisioned"`,
		"AzureDiskVolumeSource.cachingMode.default":       `"ReadWrite"`,
		"PodSpec.finalizers.x-kubernetes-list-type":       `null`,
		"NamespaceSpec.finalizers.x-kubernetes-list-type": `"atomic"`,
	} {
		at := strings.Split(path, ".")
		got := text(t, schemas["io.k8s.api.core.v1."+at[0]].Properties[at[1]][at[2]])
		if got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	description := schemas["io.k8s.api.core.v1.PodSpec"].Properties["restartPolicy"]["description"].(string)
	if !strings.Contains(description, "\n\nPossible enum values:\n - `\"Always\"`\n") {
		t.Errorf("restartPolicy: %q", description)
	}
}
