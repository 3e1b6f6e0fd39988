// Package openapi describes the API to its clients, from the Go types of the
// objects: their JSON tags, patch tags and documentation.
package openapi

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

const definitionPrefix = "#/definitions/"

// optional names fields that are written always and yet need not be given;
// their tags do not tell.
var optional = map[string][]string{
	"io.k8s.api.core.v1.ContainerImage":            {"names"},
	"io.k8s.api.core.v1.TypedLocalObjectReference": {"apiGroup"},
	"io.k8s.api.core.v1.TypedObjectReference":      {"apiGroup"},
	"io.k8s.api.discovery.v1.EndpointSlice":        {"ports"},
}

// The interfaces by which a type says how it is written.
type (
	named     interface{ OpenAPIModelName() string }
	primitive interface {
		OpenAPISchemaType() []string
		OpenAPISchemaFormat() string
	}
	documented interface{ SwaggerDoc() map[string]string }
)

// models gathers the definitions of Go types and of all they are made of.
type models struct {
	definitions spec.Definitions
}

func newModels() *models { return &models{definitions: spec.Definitions{}} }

// reference returns a schema that refers to the type's definition, which it adds.
func (m *models) reference(t reflect.Type) (*spec.Schema, bool) {
	name, ok := modelName(t)
	if !ok {
		return nil, false
	}
	if _, known := m.definitions[name]; !known {
		m.definitions[name] = spec.Schema{} // Types may refer to themselves.
		m.definitions[name] = m.define(name, t)
	}
	return spec.RefSchema(definitionPrefix + name), true
}

func modelName(t reflect.Type) (string, bool) {
	n, ok := reflect.Zero(t).Interface().(named)
	if !ok || t.Kind() == reflect.Pointer {
		return "", false
	}
	return n.OpenAPIModelName(), true
}

func (m *models) define(name string, t reflect.Type) spec.Schema {
	zero := reflect.Zero(t).Interface()
	var docs map[string]string
	if d, ok := zero.(documented); ok {
		docs = d.SwaggerDoc()
	}
	if p, ok := zero.(primitive); ok {
		return spec.Schema{SchemaProps: spec.SchemaProps{Type: p.OpenAPISchemaType(), Format: p.OpenAPISchemaFormat(), Description: docs[""]}}
	}
	if t.Kind() != reflect.Struct {
		out := m.schema(t)
		out.Description = docs[""]
		return *out
	}
	out := spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}, Description: docs[""]}}
	m.addFields(&out, t, docs, optional[name])
	return out
}

func (m *models) addFields(out *spec.Schema, t reflect.Type, docs map[string]string, optional []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			if f.Anonymous || strings.Contains(options, "inline") {
				m.addEmbedded(out, f.Type, docs)
			}
			continue
		}
		property := m.schema(f.Type)
		property.Description = docs[name]
		for _, key := range []string{"patchStrategy", "patchMergeKey"} {
			if value := f.Tag.Get(key); value != "" {
				property.AddExtension(extensionOf[key], value)
			}
		}
		if out.Properties == nil {
			out.Properties = map[string]spec.Schema{}
		}
		out.Properties[name] = *property
		if !strings.Contains(options, "omitempty") && !slices.Contains(optional, name) {
			out.Required = append(out.Required, name)
		}
	}
	slices.Sort(out.Required)
}

var extensionOf = map[string]string{
	"patchStrategy": "x-kubernetes-patch-strategy", "patchMergeKey": "x-kubernetes-patch-merge-key",
}

func (m *models) addEmbedded(out *spec.Schema, t reflect.Type, docs map[string]string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	merged := map[string]string{}
	if d, ok := reflect.Zero(t).Interface().(documented); ok {
		for k, v := range d.SwaggerDoc() {
			merged[k] = v
		}
	}
	for k, v := range docs {
		merged[k] = v
	}
	m.addFields(out, t, merged, nil)
}

// schema describes a value of the type where it is used.
func (m *models) schema(t reflect.Type) *spec.Schema {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if ref, ok := m.reference(t); ok {
		return ref
	}
	if p, ok := reflect.Zero(t).Interface().(primitive); ok {
		return &spec.Schema{SchemaProps: spec.SchemaProps{Type: p.OpenAPISchemaType(), Format: p.OpenAPISchemaFormat()}}
	}
	switch t.Kind() {
	case reflect.String:
		return spec.StringProperty()
	case reflect.Bool:
		return spec.BooleanProperty()
	case reflect.Int64, reflect.Int:
		return spec.Int64Property()
	case reflect.Int32, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Uint32:
		return spec.Int32Property()
	case reflect.Float64, reflect.Float32:
		return spec.Float64Property()
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return spec.StrFmtProperty("byte")
		}
		return spec.ArrayProperty(m.schema(t.Elem()))
	case reflect.Map:
		return spec.MapProperty(m.schema(t.Elem()))
	}
	return &spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}}}
}
