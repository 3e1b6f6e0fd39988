package fieldmanager

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// form is how the fields of a value are told apart.
type form byte

const (
	leaf    form = iota // not at all: a simple value
	record              // by the fields of a Go struct
	mapping             // by the keys of a map
	keyed               // by key fields of list items
	members             // by the items of a list, which are simple
	whole               // not at all: a list that is atomic
)

// shape is what a Go type is to server-side apply: the schema of the API and the
// layout of the type in one, made once.
type shape struct {
	form   form
	atomic bool // its fields are owned together
	fields []fieldShape
	elem   *shape
	keys   []keyShape
	same   func(a, b reflect.Value) bool // for leaves
}

// fieldShape is a field of a struct as JSON shows it.
type fieldShape struct {
	name      string
	path      []int
	omitEmpty bool
	omitZero  func(reflect.Value) bool
	*shape
}

// keyShape is a key field of list items.
type keyShape struct {
	name     string
	field    *fieldShape
	fallback string // as it is written where the field is left out; "" is none
}

// unsupported says that a type is left to the library.
type unsupported struct{ why string }

func (u unsupported) Error() string { return u.why }

// compiler makes shapes by a schema.
type compiler struct {
	schema *schema.Schema
	known  map[shapeKey]*shape
}

type shapeKey struct {
	t      reflect.Type
	name   string
	atomic schema.ElementRelationship
}

// compile returns the shape of a kind's Go type; of its fields those at the paths
// without are left out.
func (c *compiler) compile(t reflect.Type, name string, without [][]string) (*shape, error) {
	out, err := c.shape(t, schema.TypeRef{NamedType: &name})
	if err != nil {
		return nil, err
	}
	for _, path := range without {
		out = out.without(path)
	}
	return out, nil
}

// without returns the shape without the field at a path, and leaves s as it is.
func (s *shape) without(path []string) *shape {
	out := *s
	out.fields = slices.Clone(s.fields)
	i := slices.IndexFunc(out.fields, func(f fieldShape) bool { return f.name == path[0] })
	switch {
	case i < 0:
	case len(path) == 1:
		out.fields = slices.Delete(out.fields, i, i+1)
	default:
		out.fields[i].shape = out.fields[i].without(path[1:])
	}
	return &out
}

func (c *compiler) shape(t reflect.Type, ref schema.TypeRef) (*shape, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	key := shapeKey{t: t}
	if ref.NamedType != nil {
		key.name = *ref.NamedType
	}
	if ref.ElementRelationship != nil {
		key.atomic = *ref.ElementRelationship
	}
	if key.name != "" && c.known[key] != nil {
		return c.known[key], nil
	}
	atom, ok := c.schema.Resolve(ref)
	if !ok {
		return nil, unsupported{fmt.Sprintf("type %s is not in the schema", key.name)}
	}
	out := &shape{}
	if key.name != "" {
		c.known[key] = out // Types may refer to themselves.
	}
	return out, c.fill(out, t, atom)
}

func (c *compiler) fill(out *shape, t reflect.Type, atom schema.Atom) error {
	if same, ok := marshaled[t]; ok {
		out.same = same
		return nil
	}
	if value.TypeReflectEntryOf(t).CanConvertToUnstructured() {
		return unsupported{fmt.Sprintf("%s writes itself", t)}
	}
	if same := simple(t); same != nil && atom.Scalar != nil {
		out.same = same
		return nil
	}
	switch {
	case t.Kind() == reflect.Struct && atom.Map != nil:
		return c.fillStruct(out, t, atom.Map)
	case t.Kind() == reflect.Map && atom.Map != nil && t.Key().Kind() == reflect.String:
		out.form, out.atomic = mapping, atom.Map.ElementRelationship == schema.Atomic
		elem, err := c.shape(t.Elem(), atom.Map.ElementType)
		out.elem = elem
		return err
	case t.Kind() == reflect.Slice && atom.List != nil:
		return c.fillList(out, t, atom.List)
	}
	return unsupported{fmt.Sprintf("%s is not what the schema says", t)}
}

func (c *compiler) fillStruct(out *shape, t reflect.Type, m *schema.Map) error {
	out.form, out.atomic = record, m.ElementRelationship == schema.Atomic
	if err := c.addFields(out, t, m, nil); err != nil {
		return err
	}
	slices.SortFunc(out.fields, func(a, b fieldShape) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (c *compiler) addFields(out *shape, t reflect.Type, m *schema.Map, path []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		at := append(slices.Clone(path), i)
		switch {
		case tag == "-", !f.IsExported() && !f.Anonymous:
			continue
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			if err := c.addFields(out, f.Type, m, at); err != nil {
				return err
			}
			continue
		case name == "":
			return unsupported{fmt.Sprintf("%s.%s has no name in JSON", t, f.Name)}
		}
		field, ok := m.FindField(name)
		if !ok {
			return unsupported{fmt.Sprintf("%s.%s is not in the schema", t, name)}
		}
		s, err := c.shape(f.Type, field.Type)
		if err != nil {
			return err
		}
		next := fieldShape{name: name, path: at, omitEmpty: strings.Contains(options, "omitempty"), shape: s}
		if strings.Contains(options, "omitzero") {
			next.omitZero = value.OmitZeroFunc(f.Type)
		}
		out.fields = append(out.fields, next)
	}
	return nil
}

func (c *compiler) fillList(out *shape, t reflect.Type, l *schema.List) error {
	elem, err := c.shape(t.Elem(), l.ElementType)
	if err != nil {
		return err
	}
	out.elem = elem
	switch {
	case l.ElementRelationship != schema.Associative:
		out.form, out.atomic = whole, true
		return nil
	case len(l.Keys) == 0:
		out.form = members
		if kind := t.Elem().Kind(); elem.form != leaf || kind != reflect.String && kind != reflect.Int32 && kind != reflect.Int64 {
			return unsupported{fmt.Sprintf("%s is a set of neither texts nor numbers", t)}
		}
		return nil
	}
	out.form = keyed
	atom, _ := c.schema.Resolve(l.ElementType)
	keys := slices.Sorted(slices.Values(l.Keys))
	for _, name := range keys {
		i := slices.IndexFunc(elem.fields, func(f fieldShape) bool { return f.name == name })
		if elem.form != record || i < 0 || elem.fields[i].form != leaf || atom.Map == nil {
			return unsupported{fmt.Sprintf("%s has no key %s", t, name)}
		}
		key := keyShape{name: name, field: &elem.fields[i]}
		if field, _ := atom.Map.FindField(name); field.Default != nil && key.field.omitEmpty {
			fallback, ok := field.Default.(string)
			if !ok || !plain(fallback) {
				return unsupported{fmt.Sprintf("%s has a key %s with a default that is no text", t, name)}
			}
			key.fallback = quoted(fallback)
		}
		out.keys = append(out.keys, key)
	}
	return nil
}

// quoted writes a text as a value within a key.
func quoted(text string) string { return `\"` + text + `\"` }
