package objects

import (
	"maps"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// computed makes the objects of a kind that is not stored.
func (s *Service) computed(view state.View, k *registry.Kind) []registry.Object {
	return k.Computed(func(resource, namespace, name string) []byte {
		e, ok := view.Get(state.Key{Resource: resource, Namespace: namespace, Name: name})
		if !ok {
			return nil
		}
		return e.Value()
	}, s.now())
}

func (s *Service) getComputed(view state.View, t Target) (Stored, error) {
	for _, obj := range s.computed(view, t.Kind) {
		if obj.GetName() == t.Name {
			value, err := encode(t.Kind, obj)
			return Unstored(t.Kind, value, 0), err
		}
	}
	return Stored{}, notFound(t)
}

func (s *Service) listComputed(view state.View, t Target, sel *selector) (Page, error) {
	page := Page{Revision: view.Revision()}
	for _, obj := range s.computed(view, t.Kind) {
		set := fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace()}
		if t.Kind.Fields != nil {
			maps.Copy(set, t.Kind.Fields(obj))
		}
		if !sel.labels.Matches(labels.Set(obj.GetLabels())) || !sel.fields.Matches(set) {
			continue
		}
		value, err := encode(t.Kind, obj)
		if err != nil {
			return Page{}, err
		}
		page.Items = append(page.Items, Unstored(t.Kind, value, 0))
	}
	return page, nil
}
