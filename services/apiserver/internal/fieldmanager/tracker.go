// Package fieldmanager tells who set which field of an object (metadata.managedFields)
// and applies configurations (server-side apply), as Kubernetes does: with its library
// (apimachinery's managedfields over structured-merge-diff), and for most writes by a
// walk over the Go types that gives the library's answer for a fraction of its price.
package fieldmanager

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Tracker keeps the managed fields of objects of all kinds. Its methods may be called
// from any goroutine. What it needs of a kind it makes when that is first written.
type Tracker struct {
	all     []*registry.Kind
	schemas func() (*schemas, error)
	kinds   sync.Map // kindKey → func() (*kind, error)
	differs sync.Pool

	compiling sync.Mutex
	shapes    map[shapeKey]*shape // of all kinds: these share most of their types
}

// kindKey names what is written: a kind of object, through a subresource or not.
type kindKey struct {
	kind *registry.Kind
	sub  string
}

// kind is what is known of one kind.
type kind struct {
	version string // as entries name it
	sub     string
	library *managedfields.FieldManager
	empty   func() registry.Object
	shape   *shape        // nil where only the library will do
	zero    reflect.Value // an empty object
}

// New returns a Tracker for the kinds.
func New(kinds []*registry.Kind) *Tracker {
	return &Tracker{all: kinds, schemas: lazy(kinds), shapes: map[shapeKey]*shape{}, differs: sync.Pool{New: func() any { return &differ{} }}}
}

// of returns what is known of the kind, as written through the subresource.
func (t *Tracker) of(k *registry.Kind, sub string) (*kind, error) {
	key := kindKey{k, sub}
	known, ok := t.kinds.Load(key)
	if !ok {
		known, _ = t.kinds.LoadOrStore(key, sync.OnceValues(func() (*kind, error) { return t.newKind(k, sub) }))
	}
	return known.(func() (*kind, error))()
}

func (t *Tracker) newKind(k *registry.Kind, name string) (*kind, error) {
	all, err := t.schemas()
	if err != nil {
		return nil, err
	}
	o := objects{gvk: k.GVK, make: k.New, initial: k.Default, versions: t.versions(k)}
	hub := o.gvk.GroupVersion()
	if k.Stored != nil {
		hub = k.Stored.Kind.GVK.GroupVersion()
	}
	sub, ok := k.Subresource(name)
	own := !ok || sub.NewObject == nil
	if !own {
		o = objects{gvk: sub.GVK, make: sub.NewObject}
		hub = sub.GVK.GroupVersion()
	}
	out := &kind{version: o.gvk.GroupVersion().String(), sub: name, empty: o.empty}
	out.library, err = managedfields.NewDefaultFieldManager(all, o, o, o, o.gvk, hub, name, filterOf(k, name))
	if err != nil {
		return nil, fmt.Errorf("track fields of %s: %w", k.Resource, err)
	}
	if _, ok := kept[resetKey{k.GVK.GroupKind(), name}]; own && !ok && k.Stored == nil {
		out.zero = reflect.ValueOf(k.New()).Elem()
		out.shape = t.shape(all, k, append(resetBy(k, name), untracked...))
	}
	return out, nil
}

// shape returns that of the kind without some fields; nil of a type that cannot be
// walked, which is left to the library.
func (t *Tracker) shape(all *schemas, k *registry.Kind, without [][]string) *shape {
	t.compiling.Lock()
	defer t.compiling.Unlock()
	c := compiler{schema: &all.parser.Schema, known: maps.Clone(t.shapes)}
	out, err := c.compile(reflect.TypeOf(k.New()).Elem(), all.names[k.GVK], without)
	if err != nil {
		return nil // and what was made on the way is forgotten
	}
	t.shapes = c.known
	return out
}

// versions returns the kinds that are stored as k is; nil where it is the only one.
func (t *Tracker) versions(k *registry.Kind) []*registry.Kind {
	var out []*registry.Kind
	for _, other := range t.all {
		if other.StoreResource() == k.StoreResource() {
			out = append(out, other)
		}
	}
	if len(out) == 1 {
		return nil
	}
	return out
}

// Update tells that manager made obj of live, by any way but apply; live is nil where
// obj is new. Both are as they are stored, k is the version that the client speaks. It
// sets obj's managed fields, and takes those that a client sent into
// account as Kubernetes does. What it cannot tell stays as it was: no write fails
// because of it.
func (t *Tracker) Update(k *registry.Kind, sub string, live, obj registry.Object, manager string, now time.Time) {
	known, err := t.of(k, sub)
	if err != nil {
		keep(live, obj)
		return
	}
	if known.shape != nil {
		d := t.differs.Get().(*differ)
		done := known.walk(d, live, obj, manager, now)
		d.lost = false
		d.reset()
		t.differs.Put(d)
		if done {
			return
		}
	}
	if live == nil {
		live = known.empty()
	}
	known.library.UpdateNoErrors(live, obj, manager)
}

// keep leaves the managed fields as they are.
func keep(live, obj registry.Object) {
	obj.SetManagedFields(nil)
	if live != nil {
		obj.SetManagedFields(live.GetManagedFields())
	}
}

// Apply merges a configuration of version k into live, which is as it is stored, or nil
// where there is no object yet, and returns the object that is to be stored. With force it takes what others own;
// else that is a conflict, as an API error.
func (t *Tracker) Apply(k *registry.Kind, sub string, live registry.Object, configuration *unstructured.Unstructured, manager string, force bool) (registry.Object, error) {
	known, err := t.of(k, sub)
	if err != nil {
		return nil, err
	}
	if live == nil {
		live = known.empty()
	}
	out, err := known.library.Apply(live, configuration, manager, force)
	if err != nil {
		return nil, err //nolint:wrapcheck // the library's words are what clients know
	}
	return out.(registry.Object), nil
}
