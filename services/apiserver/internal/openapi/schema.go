package openapi

import (
	"reflect"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// schema describes a value of the type where it is used.
func (m *models) schema(t reflect.Type) *spec.Schema {
	t = indirect(t)
	if ref, ok := m.reference(t); ok {
		return ref
	}
	if p, ok := reflect.Zero(t).Interface().(primitive); ok {
		return &spec.Schema{SchemaProps: spec.SchemaProps{Type: p.OpenAPISchemaType(), Format: p.OpenAPISchemaFormat()}}
	}
	switch t.Kind() {
	case reflect.String:
		out := spec.StringProperty()
		out.Enum, _ = m.markers.of(t).enum()
		return out
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return spec.StrFmtProperty("byte")
		}
		return spec.ArrayProperty(m.schema(t.Elem()))
	case reflect.Map:
		return spec.MapProperty(m.schema(t.Elem()))
	}
	if number := numbers[t.Kind()]; number != nil {
		return number()
	}
	return &spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{"object"}}}
}

// numbers describes the simple types but strings.
var numbers = map[reflect.Kind]func() *spec.Schema{
	reflect.Bool:    spec.BooleanProperty,
	reflect.Int:     spec.Int32Property,
	reflect.Int64:   spec.Int64Property,
	reflect.Int32:   spec.Int32Property,
	reflect.Int16:   spec.Int32Property,
	reflect.Uint8:   spec.Int32Property,
	reflect.Uint16:  spec.Int32Property,
	reflect.Uint32:  spec.Int64Property,
	reflect.Float32: spec.Float64Property,
	reflect.Float64: spec.Float64Property,
}
