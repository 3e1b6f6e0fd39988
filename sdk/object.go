package sdk

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/anypb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/sdk/exchange"
)

// typeURLPrefix precedes the message name in an Any.
const typeURLPrefix = "type.googleapis.com/"

// Object is a Kubernetes object as the Go types of k8s.io/api hold it: a
// pointer such as *corev1.Pod.
type Object interface {
	runtime.Object
	metav1.Object
	Marshaler
}

// Marshaler is what every type generated for Kubernetes' protobuf encoding has.
type Marshaler interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// TypeName returns the Kubernetes protobuf message name of an object, for
// example "k8s.io.api.core.v1.Pod". It is the import path of the Go type with
// dots for slashes, which holds for all of k8s.io/api and k8s.io/apimachinery.
func TypeName(obj any) string {
	return typeName(reflect.TypeOf(obj))
}

// TypeNameOf is TypeName for a type instead of a value.
func TypeNameOf[T any]() string {
	return typeName(reflect.TypeFor[T]())
}

// typeURLs holds the names once made, with the prefix, by reflect.Type.
var typeURLs sync.Map

func typeName(t reflect.Type) string {
	return strings.TrimPrefix(typeURL(t), typeURLPrefix)
}

func typeURL(t reflect.Type) string {
	if t == nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if url, ok := typeURLs.Load(t); ok {
		return url.(string)
	}
	url := typeURLPrefix + strings.ReplaceAll(t.PkgPath(), "/", ".") + "." + t.Name()
	typeURLs.Store(t, url)
	return url
}

// NewObject returns an empty object of a pointer type.
func NewObject[T Marshaler]() T {
	return reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T)
}

// Encode wraps an object for the wire.
func Encode(obj Marshaler) (*anypb.Any, error) {
	if v := reflect.ValueOf(obj); !v.IsValid() || v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("encode %T: not a pointer to an object", obj)
	}
	raw, err := obj.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", TypeName(obj), err)
	}
	return &anypb.Any{TypeUrl: typeURL(reflect.TypeOf(obj)), Value: raw}, nil
}

// Decode unwraps an object from the wire. It is an error when the object is of
// another type than T.
func Decode[T Marshaler](a *anypb.Any) (T, error) {
	return decode[T](exchange.Object{TypeURL: a.GetTypeUrl(), Parts: [2][]byte{a.GetValue()}})
}

func decode[T Marshaler](o exchange.Object) (T, error) {
	var none T
	if o.TypeURL == "" {
		return none, fmt.Errorf("decode %s: the answer holds no object", TypeNameOf[T]())
	}
	if got, want := strings.TrimPrefix(o.TypeURL, typeURLPrefix), TypeNameOf[T](); got != want {
		return none, fmt.Errorf("decode %s: the answer holds a %s", want, got)
	}
	obj := NewObject[T]()
	for _, part := range o.Parts {
		if err := obj.Unmarshal(part); err != nil {
			return none, fmt.Errorf("decode %s: %w", TypeNameOf[T](), err)
		}
	}
	return obj, nil
}
