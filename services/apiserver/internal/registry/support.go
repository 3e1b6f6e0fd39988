package registry

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// notSupported words the refusal of a field that Kubernetes has and Muster does
// not honour yet: a field is honoured or refused, never dropped.
const notSupported = "not supported by this version of Muster"

// fieldSet is a tree of the JSON names of honoured fields. A struct of the API
// is honoured field by field, so a field that a newer library adds is refused
// until it is listed; maps, lists of scalars and the types of apimachinery
// (quantities, times) are honoured whole.
type fieldSet map[string]fieldSet

// supported makes a set of dotted paths: "containers.env.valueFrom.fieldRef".
func supported(paths ...string) fieldSet {
	set := fieldSet{}
	for _, p := range paths {
		at := set
		for name := range strings.SplitSeq(p, ".") {
			if at[name] == nil {
				at[name] = fieldSet{}
			}
			at = at[name]
		}
	}
	return set
}

// unsupported refuses every field of v that has a value and is not in set.
func unsupported(v any, set fieldSet, path *field.Path) field.ErrorList {
	return walkUnsupported(reflect.ValueOf(v), set, path)
}

func walkUnsupported(v reflect.Value, set fieldSet, path *field.Path) field.ErrorList {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return walkUnsupported(v.Elem(), set, path)
	case reflect.Slice:
		var errs field.ErrorList
		for i := range v.Len() {
			errs = append(errs, walkUnsupported(v.Index(i), set, path.Index(i))...)
		}
		return errs
	case reflect.Struct:
		if strings.HasPrefix(v.Type().PkgPath(), "k8s.io/api/") {
			return walkStruct(v, set, path)
		}
	}
	return nil
}

func walkStruct(v reflect.Value, set fieldSet, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		// An inlined struct's fields are the outer one's (a volume's source).
		if name == "" && v.Type().Field(i).Anonymous {
			errs = append(errs, walkUnsupported(v.Field(i), set, path)...)
			continue
		}
		if v.Field(i).IsZero() || name == "" || name == "-" {
			continue
		}
		if below, ok := set[name]; ok {
			errs = append(errs, walkUnsupported(v.Field(i), below, path.Child(name))...)
			continue
		}
		if isEmpty(v.Field(i)) {
			continue
		}
		errs = append(errs, field.Forbidden(path.Child(name), notSupported))
	}
	return errs
}

// isEmpty tells whether a list or map is there but has nothing in it.
func isEmpty(v reflect.Value) bool {
	return slices.Contains([]reflect.Kind{reflect.Slice, reflect.Map}, v.Kind()) && v.Len() == 0
}
