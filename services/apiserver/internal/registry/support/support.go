// Package support tells the fields that something in Muster honours from those
// that are refused.
package support

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// NotSupported words the refusal of a field that Kubernetes has and Muster does
// not honour yet: a field is honoured or refused, never dropped.
const NotSupported = "not supported by this version of Muster"

// Set is a tree of the JSON names of honoured fields. A struct of the API
// is honoured field by field, so a field that a newer library adds is refused
// until it is listed; maps, lists of scalars and the types of apimachinery
// (quantities, times) are honoured whole.
type Set map[string]Set

// Fields makes a set of dotted paths: "containers.env.valueFrom.fieldRef".
func Fields(paths ...string) Set {
	set := Set{}
	for _, p := range paths {
		at := set
		for name := range strings.SplitSeq(p, ".") {
			if at[name] == nil {
				at[name] = Set{}
			}
			at = at[name]
		}
	}
	return set
}

// Check refuses every field of v that has a value and is not in set.
func Check(v any, set Set, path *field.Path) field.ErrorList {
	return walk(reflect.ValueOf(v), set, path)
}

func walk(v reflect.Value, set Set, path *field.Path) field.ErrorList {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return walk(v.Elem(), set, path)
	case reflect.Slice:
		var errs field.ErrorList
		for i := range v.Len() {
			errs = append(errs, walk(v.Index(i), set, path.Index(i))...)
		}
		return errs
	case reflect.Struct:
		if strings.HasPrefix(v.Type().PkgPath(), "k8s.io/api/") {
			return walkStruct(v, set, path)
		}
	}
	return nil
}

func walkStruct(v reflect.Value, set Set, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		// An inlined struct's fields are the outer one's (a volume's source).
		if name == "" && v.Type().Field(i).Anonymous {
			errs = append(errs, walk(v.Field(i), set, path)...)
			continue
		}
		if v.Field(i).IsZero() || name == "" || name == "-" {
			continue
		}
		if below, ok := set[name]; ok {
			errs = append(errs, walk(v.Field(i), below, path.Child(name))...)
			continue
		}
		if isEmpty(v.Field(i)) {
			continue
		}
		errs = append(errs, field.Forbidden(path.Child(name), NotSupported))
	}
	return errs
}

// isEmpty tells whether a list or map is there but has nothing in it.
func isEmpty(v reflect.Value) bool {
	return slices.Contains([]reflect.Kind{reflect.Slice, reflect.Map}, v.Kind()) && v.Len() == 0
}

// Below puts the names of fields below that of their parent.
func Below(parent string, names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, parent+"."+name)
	}
	return paths
}
