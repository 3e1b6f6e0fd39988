package openapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"

	"github.com/musterhq/muster/services/apiserver/internal/openapi"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

func fetch(t *testing.T, cache *openapi.Cache, path, accept string) (*httptest.ResponseRecorder, []byte) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	cache.ServeHTTP(w, request)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w, w.Body.Bytes()
}

// TestProtobuf reads the documents as old and new clients do.
func TestProtobuf(t *testing.T) {
	cache := openapi.NewCache(catalog.All(registry.Options{}), "v1")
	w, raw := fetch(t, cache, "/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
	var v2 openapi_v2.Document
	if err := proto.Unmarshal(raw, &v2); err != nil {
		t.Fatal(err)
	}
	if len(v2.GetDefinitions().GetAdditionalProperties()) < 100 || w.Header().Get("Etag") == "" {
		t.Errorf("%d definitions, tag %q", len(v2.GetDefinitions().GetAdditionalProperties()), w.Header().Get("Etag"))
	}
	if _, err := openapi_v3.ParseDocument(body(t, cache, "/openapi/v3/apis/apps/v1")); err != nil {
		t.Errorf("v3: %v", err)
	}
}

func body(t *testing.T, cache *openapi.Cache, path string) []byte {
	t.Helper()
	_, raw := fetch(t, cache, path, "application/json")
	return raw
}

type schema struct {
	Type       string
	Ref        string `json:"$ref"`
	Required   []string
	Properties map[string]map[string]any
	OneOf      []map[string]any
}

func TestModels(t *testing.T) {
	cache := openapi.NewCache(catalog.All(registry.Options{}), "v1")
	var v2 struct{ Definitions map[string]schema }
	if err := json.Unmarshal(body(t, cache, "/openapi/v2"), &v2); err != nil {
		t.Fatal(err)
	}
	spec := v2.Definitions["io.k8s.api.apps.v1.DeploymentSpec"]
	if strings.Join(spec.Required, " ") != "selector template" {
		t.Errorf("required of a deployment: %v", spec.Required)
	}
	containers := v2.Definitions["io.k8s.api.core.v1.PodSpec"].Properties["containers"]
	if containers["x-kubernetes-patch-merge-key"] != "name" || containers["x-kubernetes-patch-strategy"] != "merge" || containers["description"] == "" {
		t.Errorf("containers: %v", containers)
	}
	if slice := v2.Definitions["io.k8s.api.discovery.v1.EndpointSlice"]; strings.Join(slice.Required, " ") != "addressType" {
		t.Errorf("required of an endpoint slice: %v", slice.Required)
	}
	for name := range v2.Definitions {
		if s := v2.Definitions[name]; s.Type == "" && s.Ref == "" {
			t.Errorf("%s has no type", name)
		}
	}
	var v3 struct {
		Components struct{ Schemas map[string]schema }
		Paths      map[string]map[string]any
	}
	if err := json.Unmarshal(body(t, cache, "/openapi/v3/apis/apps/v1"), &v3); err != nil {
		t.Fatal(err)
	}
	if got := v3.Components.Schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]; len(got.OneOf) != 2 {
		t.Errorf("int or string: %+v", got)
	}
	patch, ok := v3.Paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"].(map[string]any)
	if !ok || patch["x-kubernetes-group-version-kind"] == nil || !strings.Contains(text(t, patch["parameters"]), "fieldValidation") {
		t.Errorf("patch: %v", patch)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
