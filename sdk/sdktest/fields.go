package sdktest

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/musterhq/muster/sdk"
)

// Has reports whether the field is there.
func (f fieldSet) Has(path string) bool { _, ok := f.lookup(path); return ok }

// Get returns the field's text.
func (f fieldSet) Get(path string) string { s, _ := f.lookup(path); return s }

// Lookup is Get and Has.
func (f fieldSet) Lookup(path string) (string, bool) { return f.lookup(path) }

func (f fieldSet) lookup(path string) (string, bool) {
	s, ok, err := unstructured.NestedString(f.content, strings.Split(path, ".")...)
	return s, ok && err == nil
}

// knownTypes are the Go types by message name.
var knownTypes = sync.OnceValue(func() map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for _, t := range scheme.Scheme.AllKnownTypes() {
		if obj, ok := reflect.New(t).Interface().(sdk.Object); ok {
			out[sdk.TypeName(obj)] = t
		}
	}
	return out
})

// blank returns an empty object of a message name.
func blank(typ string) (sdk.Object, bool) {
	t, ok := knownTypes()[typ]
	if !ok {
		return nil, false
	}
	return reflect.New(t).Interface().(sdk.Object), true
}

// resource guesses the plural, for error texts.
func resource(typ string) schema.GroupResource {
	group := ""
	obj, ok := blank(typ)
	if ok {
		if kinds, _, err := scheme.Scheme.ObjectKinds(obj); err == nil {
			group = kinds[0].Group
		}
	}
	name := strings.ToLower(typ[strings.LastIndex(typ, ".")+1:])
	if strings.HasSuffix(name, "s") {
		name += "e"
	}
	return schema.GroupResource{Group: group, Resource: name + "s"}
}

// status is the object's Status field, invalid where it has none.
func status(obj sdk.Object) reflect.Value {
	return reflect.ValueOf(obj).Elem().FieldByName("Status")
}

// copyStatus makes to's status that of from.
func copyStatus(to, from sdk.Object) {
	if s := status(to); s.IsValid() {
		s.Set(status(from))
	}
}

// specOf is everything but metadata and status, for generations.
func specOf(obj sdk.Object) string {
	c := obj.DeepCopyObject().(sdk.Object)
	reflect.ValueOf(c).Elem().FieldByName("ObjectMeta").Set(reflect.ValueOf(metav1.ObjectMeta{}))
	if s := status(c); s.IsValid() {
		s.SetZero()
	}
	raw, _ := json.Marshal(c)
	return string(raw)
}
