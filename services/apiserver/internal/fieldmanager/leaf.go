package fieldmanager

import (
	"bytes"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// marshaled are the types that write themselves in JSON, and tell whether two values
// are written alike. The values are present: no pointers, and not nil.
var marshaled = map[reflect.Type]func(a, b reflect.Value) bool{
	reflect.TypeFor[metav1.Time](): func(a, b reflect.Value) bool {
		x, y := as[metav1.Time](a), as[metav1.Time](b)
		return x.IsZero() == y.IsZero() && (x.IsZero() || x.Unix() == y.Unix())
	},
	reflect.TypeFor[metav1.MicroTime](): func(a, b reflect.Value) bool {
		x, y := as[metav1.MicroTime](a), as[metav1.MicroTime](b)
		return x.IsZero() == y.IsZero() && (x.IsZero() || x.UnixMicro() == y.UnixMicro())
	},
	reflect.TypeFor[metav1.Duration](): func(a, b reflect.Value) bool { return a.Interface() == b.Interface() },
	reflect.TypeFor[intstr.IntOrString](): func(a, b reflect.Value) bool {
		x, y := as[intstr.IntOrString](a), as[intstr.IntOrString](b)
		return x.Type == y.Type && (x.Type == intstr.Int && x.IntVal == y.IntVal || x.Type == intstr.String && x.StrVal == y.StrVal)
	},
	reflect.TypeFor[resource.Quantity](): func(a, b reflect.Value) bool {
		x, y := as[resource.Quantity](a), as[resource.Quantity](b)
		return x.String() == y.String()
	},
	reflect.TypeFor[metav1.FieldsV1](): func(a, b reflect.Value) bool {
		return as[metav1.FieldsV1](a).Equal(as[metav1.FieldsV1](b))
	},
}

func as[T any](v reflect.Value) T {
	if v.CanAddr() {
		return *v.Addr().Interface().(*T) // without a copy on the heap
	}
	return v.Interface().(T)
}

// simple returns how two values of a simple type are compared; nil of other types.
func simple(t reflect.Type) func(a, b reflect.Value) bool {
	switch t.Kind() {
	case reflect.String:
		return func(a, b reflect.Value) bool { return a.String() == b.String() }
	case reflect.Bool:
		return func(a, b reflect.Value) bool { return a.Bool() == b.Bool() }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(a, b reflect.Value) bool { return a.Int() == b.Int() }
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return func(a, b reflect.Value) bool { return a.Uint() == b.Uint() }
	case reflect.Float32, reflect.Float64:
		return func(a, b reflect.Value) bool { return a.Float() == b.Float() }
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return func(a, b reflect.Value) bool { return bytes.Equal(a.Bytes(), b.Bytes()) }
		}
	}
	return nil
}
