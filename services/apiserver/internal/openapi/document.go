package openapi

import (
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Document describes the kinds as OpenAPI v2.
func Document(kinds []*registry.Kind, version string) *spec.Swagger {
	doc := document(kinds, newModels(), groupVersions(kinds), version)
	doc.Definitions = handler.PruneDefaults(doc.Definitions) // v2 never had them
	return doc
}

// document describes the kinds; versions are all that are served.
func document(kinds []*registry.Kind, m *models, versions []schema.GroupVersion, version string) *spec.Swagger {
	paths := map[string]spec.PathItem{}
	shared := m.shared(versions)
	for _, k := range kinds {
		o := operation{kind: k, gvk: k.GVK, shared: shared}
		o.object = m.kind(reflect.TypeOf(k.New()).Elem(), k.GVK)
		if slices.Contains(k.Verbs, "list") {
			o.list = m.kind(reflect.TypeOf(k.NewList()).Elem(), k.GVK.GroupVersion().WithKind(k.GVK.Kind+"List"))
		}
		o.addPaths(paths)
		for i := range k.Subresources {
			sub, of := &k.Subresources[i], o
			if sub.NewObject != nil {
				of.gvk, of.object = sub.GVK, m.kind(reflect.TypeOf(sub.NewObject()).Elem(), sub.GVK)
			}
			of.addSubresource(paths, sub)
		}
	}
	return &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Kubernetes", Version: version}},
		Paths:       &spec.Paths{Paths: paths},
		Definitions: m.definitions,
	}}
}

// groupVersions returns those of the kinds, sorted.
func groupVersions(kinds []*registry.Kind) []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, k := range kinds {
		if gv := k.GVK.GroupVersion(); !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupVersion) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// shared adds the definitions that every group version has a share in.
func (m *models) shared(versions []schema.GroupVersion) *shared {
	core := schema.GroupVersion{Version: "v1"}
	if !slices.Contains(versions, core) {
		versions = append([]schema.GroupVersion{core}, versions...)
	}
	out := &shared{
		status: m.kind(reflect.TypeFor[metav1.Status](), core.WithKind("Status")),
	}
	out.patch, _ = m.reference(reflect.TypeFor[metav1.Patch]())
	for _, gv := range versions {
		out.deleteOptions = m.kind(reflect.TypeFor[metav1.DeleteOptions](), gv.WithKind("DeleteOptions"))
		m.kind(reflect.TypeFor[metav1.WatchEvent](), gv.WithKind("WatchEvent"))
	}
	return out
}

// kind adds a definition that tells its group, version and kind; a type may be known
// by several.
func (m *models) kind(t reflect.Type, gvk schema.GroupVersionKind) *spec.Schema {
	ref, ok := m.reference(t)
	if !ok {
		return &spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}}}
	}
	name, _ := modelName(t)
	def := m.definitions[name]
	known, _ := def.Extensions[gvkExtension].([]any)
	if value := gvkValue(gvk); !slices.ContainsFunc(known, func(v any) bool { return reflect.DeepEqual(v, value) }) {
		def.AddExtension(gvkExtension, append(known, value))
		m.definitions[name] = def
	}
	return ref
}

// oneOf is a type that takes more than one form, as OpenAPI v3 can tell.
type oneOf interface{ OpenAPIV3OneOfTypes() []string }

// DocumentV3 describes those of the kinds that are of one group version as OpenAPI v3.
func DocumentV3(kinds []*registry.Kind, gv schema.GroupVersion, version string) *spec3.OpenAPI {
	var members []*registry.Kind
	for _, k := range kinds {
		if k.GVK.GroupVersion() == gv {
			members = append(members, k)
		}
	}
	m := newModels()
	doc := openapiconv.ConvertV2ToV3(document(members, m, groupVersions(kinds), version))
	m.addForms(doc.Components.Schemas)
	for _, path := range doc.Paths.Paths {
		for _, op := range []*spec3.Operation{path.Post, path.Put, path.Patch} {
			if op != nil && op.RequestBody != nil {
				op.RequestBody.Required = true
			}
		}
	}
	return doc
}

// addForms says of the types that take more than one form which these are.
func (m *models) addForms(schemas map[string]*spec.Schema) {
	for name, def := range schemas {
		t, ok := reflect.Zero(m.types[name]).Interface().(oneOf)
		if !ok {
			continue
		}
		def.Type, def.OneOf = nil, nil
		for _, form := range t.OpenAPIV3OneOfTypes() {
			def.OneOf = append(def.OneOf, spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{form}}})
		}
	}
}

// Definitions returns the schemas of the kinds as OpenAPI v3 has them, without their
// texts: the form in which server-side apply reads them.
func Definitions(kinds []*registry.Kind) map[string]*spec.Schema {
	m := newModels()
	doc := document(kinds, m, groupVersions(kinds), "")
	out := openapiconv.ConvertComponents(nil, doc.Definitions, nil, nil).Schemas
	m.addForms(out)
	return out
}
