package openapi

import (
	"reflect"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Document describes the kinds as OpenAPI v2.
func Document(kinds []*registry.Kind, version string) *spec.Swagger {
	m := newModels()
	paths := map[string]spec.PathItem{}
	status, _ := m.reference(reflect.TypeFor[metav1.Status]())
	patch, _ := m.reference(reflect.TypeFor[metav1.Patch]())
	m.reference(reflect.TypeFor[metav1.DeleteOptions]())
	for _, k := range kinds {
		o := operation{kind: k, status: status, patch: patch}
		o.object = m.kind(reflect.TypeOf(k.New()).Elem(), k.GVK)
		o.list = m.kind(reflect.TypeOf(k.NewList()).Elem(), k.GVK.GroupVersion().WithKind(k.GVK.Kind+"List"))
		o.addPaths(paths)
		for _, sub := range k.Subresources {
			if sub.NewObject != nil {
				m.kind(reflect.TypeOf(sub.NewObject()).Elem(), sub.GVK)
			}
		}
	}
	m.kind(reflect.TypeFor[autoscalingv1.Scale](), autoscalingv1.SchemeGroupVersion.WithKind("Scale"))
	return &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Kubernetes", Version: version}},
		Paths:       &spec.Paths{Paths: paths},
		Definitions: m.definitions,
	}}
}

// kind adds a definition that tells its group, version and kind.
func (m *models) kind(t reflect.Type, gvk schema.GroupVersionKind) *spec.Schema {
	ref, ok := m.reference(t)
	if !ok {
		return &spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}}}
	}
	name, _ := modelName(t)
	def := m.definitions[name]
	if _, tagged := def.Extensions[gvkExtension]; !tagged {
		def.AddExtension(gvkExtension, []any{gvkValue(gvk)})
		m.definitions[name] = def
	}
	return ref
}

// oneOf is how OpenAPI v3 writes the types that take more than one form.
var oneOf = map[string][]string{
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"integer", "string"},
	"io.k8s.apimachinery.pkg.api.resource.Quantity":   {"string", "number"},
}

// DocumentV3 describes the kinds, which are those of one group version, as OpenAPI v3.
func DocumentV3(kinds []*registry.Kind, version string) *spec3.OpenAPI {
	doc := openapiconv.ConvertV2ToV3(Document(kinds, version))
	for name, types := range oneOf {
		def := doc.Components.Schemas[name]
		if def == nil {
			continue
		}
		def.Type, def.OneOf = nil, nil
		for _, t := range types {
			def.OneOf = append(def.OneOf, spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{t}}})
		}
	}
	return doc
}
