package fieldmanager

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/schemaconv"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/musterhq/muster/services/apiserver/internal/openapi"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// schemas is what the API documents say of merging, and which type a kind is of. It
// is what the library asks for types (managedfields.TypeConverter).
type schemas struct {
	parser *typed.Parser
	names  map[schema.GroupVersionKind]string
}

// newSchemas reads the documents of the kinds.
func newSchemas(kinds []*registry.Kind) (*schemas, error) {
	all, err := schemaconv.ToSchemaFromOpenAPI(openapi.Definitions(kinds), false)
	if err != nil {
		return nil, fmt.Errorf("read the schema of the API: %w", err)
	}
	s := &schemas{parser: &typed.Parser{Schema: smd.Schema{Types: all.Types}}, names: map[schema.GroupVersionKind]string{}}
	for _, k := range kinds {
		s.add(k.GVK, k.New())
		for _, sub := range k.Subresources {
			if sub.NewObject != nil {
				s.add(sub.GVK, sub.NewObject())
			}
		}
	}
	return s, nil
}

func (s *schemas) add(gvk schema.GroupVersionKind, obj registry.Object) {
	if n, ok := reflect.ValueOf(obj).Elem().Interface().(interface{ OpenAPIModelName() string }); ok {
		s.names[gvk] = n.OpenAPIModelName()
	}
}

// ObjectToTyped implements managedfields.TypeConverter.
func (s *schemas) ObjectToTyped(obj runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	name, ok := s.names[gvk]
	if !ok {
		return nil, runtime.NewNotRegisteredErrForKind("fieldmanager", gvk)
	}
	t := s.parser.Type(name)
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return t.FromUnstructured(u.UnstructuredContent(), options...)
	}
	return t.FromStructured(obj, options...)
}

// TypedToObject implements managedfields.TypeConverter.
func (s *schemas) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	fields, ok := value.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("an object is %T", value.AsValue().Unstructured())
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

// objects is what the library asks to make, convert and default objects of a kind.
type objects struct {
	gvk     schema.GroupVersionKind
	make    func() registry.Object
	initial func(registry.Object) // nil where nothing is defaulted
	// versions are the kinds whose objects are stored as one; nil where there is one.
	versions []*registry.Kind
}

// New implements runtime.ObjectCreater.
func (o objects) New(schema.GroupVersionKind) (runtime.Object, error) {
	return o.empty(), nil
}

func (o objects) empty() registry.Object {
	obj := o.make()
	obj.GetObjectKind().SetGroupVersionKind(o.gvk)
	return obj
}

// Default implements runtime.ObjectDefaulter.
func (o objects) Default(obj runtime.Object) {
	if typed, ok := obj.(registry.Object); ok && o.initial != nil {
		o.initial(typed)
	}
}

// ConvertToVersion implements runtime.ObjectConvertor. What comes from merging is made
// an object of a Go type.
func (o objects) ConvertToVersion(obj runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	wanted, _ := target.KindForGroupVersionKinds([]schema.GroupVersionKind{gvk})
	if gv, ok := target.(schema.GroupVersion); ok {
		wanted = gv.WithKind(gvk.Kind)
	}
	if u, ok := obj.(*unstructured.Unstructured); ok {
		typed, err := o.decode(u)
		if err != nil {
			return nil, err
		}
		obj = typed
	}
	if wanted == gvk {
		return obj, nil
	}
	from, to := o.version(gvk), o.version(wanted)
	if from == nil || to == nil {
		return nil, runtime.NewNotRegisteredErrForKind("fieldmanager", wanted)
	}
	return to.FromStored(from.ToStored(obj.(registry.Object))), nil
}

// version finds one of the kinds that are stored as one.
func (o objects) version(gvk schema.GroupVersionKind) *registry.Kind {
	i := slices.IndexFunc(o.versions, func(k *registry.Kind) bool { return k.GVK == gvk })
	if i < 0 {
		return nil
	}
	return o.versions[i]
}

func (o objects) decode(u *unstructured.Unstructured) (registry.Object, error) {
	gvk, make := u.GroupVersionKind(), o.make
	if gvk != o.gvk {
		k := o.version(gvk)
		if k == nil {
			return nil, runtime.NewNotRegisteredErrForKind("fieldmanager", gvk)
		}
		make = k.New
	}
	out := make()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out); err != nil {
		return nil, fmt.Errorf("read merged object: %w", err)
	}
	out.GetObjectKind().SetGroupVersionKind(gvk)
	return out, nil
}

// Convert implements runtime.ObjectConvertor; nothing calls it.
func (o objects) Convert(in, out, _ any) error {
	return fmt.Errorf("convert %T to %T: not supported", in, out)
}

// ConvertFieldLabel implements runtime.ObjectConvertor; nothing calls it.
func (o objects) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

// lazy makes the schemas when they are first needed.
func lazy(kinds []*registry.Kind) func() (*schemas, error) {
	return sync.OnceValues(func() (*schemas, error) { return newSchemas(kinds) })
}
