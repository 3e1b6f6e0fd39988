// Package openapi describes the API to its clients, from the Go types of the
// objects: their JSON tags, patch tags and documentation, and from the markers in
// their sources, which a generator reads (markergen).
package openapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

const definitionPrefix = "#/definitions/"

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
	types       map[string]reflect.Type
	markers     markers
}

func newModels() *models {
	return &models{definitions: spec.Definitions{}, types: map[string]reflect.Type{}, markers: readMarkers()}
}

// reference returns a schema that refers to the type's definition, which it adds.
func (m *models) reference(t reflect.Type) (*spec.Schema, bool) {
	name, ok := modelName(t)
	if !ok {
		return nil, false
	}
	if _, known := m.definitions[name]; !known {
		m.definitions[name] = spec.Schema{} // Types may refer to themselves.
		m.definitions[name] = m.define(t)
		m.types[name] = t
	}
	return spec.RefSchema(definitionPrefix + name), true
}

func modelName(t reflect.Type) (string, bool) {
	if t.Kind() == reflect.Pointer {
		return "", false
	}
	n, ok := reflect.Zero(t).Interface().(named)
	if !ok {
		return "", false
	}
	return n.OpenAPIModelName(), true
}

func (m *models) define(t reflect.Type) spec.Schema {
	docs, marked := m.docs(t)
	if p, ok := reflect.Zero(t).Interface().(primitive); ok {
		return spec.Schema{SchemaProps: spec.SchemaProps{Type: p.OpenAPISchemaType(), Format: p.OpenAPISchemaFormat(), Description: docs[""]}}
	}
	if t.Kind() != reflect.Struct {
		out := m.schema(t)
		out.Description = docs[""]
		return *out
	}
	out := spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}, Description: docs[""]}}
	m.addFields(&out, t, docs, marked)
	mark(&out, marked.words)
	if slices.Contains(marked.words, "union") {
		out.AddExtension("x-kubernetes-unions", []any{union(t, marked)})
	}
	return out
}

// docs returns the texts about a type and its fields, and its markers.
func (m *models) docs(t reflect.Type) (map[string]string, *typeMarkers) {
	marked := m.markers.of(t)
	if d, ok := reflect.Zero(t).Interface().(documented); ok {
		return d.SwaggerDoc(), marked
	}
	return map[string]string{"": marked.doc}, marked
}

func (m *models) addFields(out *spec.Schema, t reflect.Type, docs map[string]string, marked *typeMarkers) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			if f.Anonymous || strings.Contains(options, "inline") {
				m.addEmbedded(out, f.Type)
			}
			continue
		}
		omitted := strings.Contains(options, "omitempty")
		words := marked.fields[name]
		if out.Properties == nil {
			out.Properties = map[string]spec.Schema{}
		}
		out.Properties[name] = m.property(f, docs[name], words, omitted)
		if !slices.Contains(words, "optional") && (!omitted || slices.Contains(words, "required")) {
			out.Required = append(out.Required, name)
		}
	}
}

func (m *models) property(f reflect.StructField, doc string, words []string, omitted bool) spec.Schema {
	property := m.schema(f.Type)
	_, text := m.markers.of(indirect(f.Type)).enum()
	property.Description = strings.TrimSpace(doc + text)
	for _, tag := range []string{"patchStrategy", "patchMergeKey"} {
		if value := f.Tag.Get(tag); value != "" {
			property.AddExtension(extensionOf[tag], value)
		}
	}
	property.Default = zeroOf(f.Type, omitted)
	mark(property, words)
	return *property
}

func (m *models) addEmbedded(out *spec.Schema, t reflect.Type) {
	t = indirect(t)
	docs, marked := m.docs(t)
	m.addFields(out, t, docs, marked)
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// zeroOf returns the default of a field that always has a value: {} of a struct, the
// zero value of a simple type that is not left out when empty; nil of all others.
func zeroOf(t reflect.Type, omitted bool) any {
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return nil // It reads null as it likes.
	}
	switch t.Kind() {
	case reflect.Struct:
		if t.NumField() == 1 && t.Field(0).Anonymous {
			return zeroOf(t.Field(0).Type, omitted)
		}
		return map[string]any{}
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface:
		return nil
	case reflect.String:
		if omitted {
			return nil
		}
		return ""
	case reflect.Bool:
		if omitted {
			return nil
		}
		return false
	}
	if omitted {
		return nil
	}
	return 0
}

// union describes a struct of which one field is set, that its discriminator names.
func union(t reflect.Type, marked *typeMarkers) map[string]any {
	fields := map[string]any{}
	out := map[string]any{"fields-to-discriminateBy": fields}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if slices.Contains(marked.fields[name], "unionDiscriminator") {
			out["discriminator"] = name
			continue
		}
		fields[name] = t.Field(i).Name
	}
	return out
}
