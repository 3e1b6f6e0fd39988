package registry

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Table finds kinds. It is never changed after New and may be read from any
// goroutine.
type Table struct {
	kinds      []*Kind
	byResource map[schema.GroupVersionResource]*Kind
	byKind     map[schema.GroupVersionKind]*Kind
	byType     map[string]*Kind
	byStore    map[string]*Kind
	byShort    map[string]*Kind
}

// NewTable builds a table of kinds. A name that several of them have finds the first.
func NewTable(kinds []*Kind) *Table {
	t := &Table{
		kinds:      kinds,
		byResource: map[schema.GroupVersionResource]*Kind{},
		byKind:     map[schema.GroupVersionKind]*Kind{},
		byType:     map[string]*Kind{},
		byStore:    map[string]*Kind{},
		byShort:    map[string]*Kind{},
	}
	for _, k := range kinds {
		t.byResource[k.GVR()] = k
		t.byKind[k.GVK] = k
		t.byType[k.Type] = k
		if k.Stored == nil {
			t.byStore[k.StoreResource()] = k
		}
		for _, name := range append([]string{k.Resource, k.Singular}, k.ShortNames...) {
			if _, taken := t.byShort[name]; !taken {
				t.byShort[name] = k
			}
		}
	}
	return t
}

// Kinds returns all kinds, core group first.
func (t *Table) Kinds() []*Kind { return slices.Clone(t.kinds) }

// ByResource finds a kind by group, version and plural.
func (t *Table) ByResource(gvr schema.GroupVersionResource) (*Kind, bool) {
	k, ok := t.byResource[gvr]
	return k, ok
}

// ByKind finds a kind by group, version and kind.
func (t *Table) ByKind(gvk schema.GroupVersionKind) (*Kind, bool) {
	k, ok := t.byKind[gvk]
	return k, ok
}

// ByType finds a kind by its protobuf message name: "k8s.io.api.core.v1.Pod".
func (t *Table) ByType(name string) (*Kind, bool) {
	k, ok := t.byType[name]
	return k, ok
}

// Of finds the kind of an object by its Go type.
func (t *Table) Of(obj Object) (*Kind, bool) { return t.ByType(TypeName(reflect.TypeOf(obj).Elem())) }

// ByStoreResource finds a kind by what the state calls it: "deployments.apps".
func (t *Table) ByStoreResource(resource string) (*Kind, bool) {
	k, ok := t.byStore[resource]
	return k, ok
}

// ByShortName finds a kind by plural, singular or short name: "po".
func (t *Table) ByShortName(name string) (*Kind, bool) {
	k, ok := t.byShort[name]
	return k, ok
}

// GVR returns the resource with its group and version.
func (k *Kind) GVR() schema.GroupVersionResource {
	return k.GVK.GroupVersion().WithResource(k.Resource)
}

// Subresource finds a subresource by name.
func (k *Kind) Subresource(name string) (*Subresource, bool) {
	for i := range k.Subresources {
		if k.Subresources[i].Name == name {
			return &k.Subresources[i], true
		}
	}
	return nil, false
}
