package fieldmanager

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Scale translates the managed fields of an object to those of its scale and back: who
// owns the one's replicas owns the other's.
type Scale struct {
	handler *managedfields.ScaleHandler // nil where the subresource is no scale
}

// NewScale returns the translation for the subresource of obj, of kind k.
func NewScale(k *registry.Kind, sub *registry.Subresource, obj registry.Object) Scale {
	if sub.GVK.Kind != "Scale" {
		return Scale{}
	}
	version := k.GVK.GroupVersion()
	return Scale{managedfields.NewScaleHandler(obj.GetManagedFields(), version, managedfields.ResourcePathMappings{
		version.String(): fieldpath.MakePathOrDie("spec", "replicas"),
	})}
}

// Show sets the managed fields of the scale.
func (s Scale) Show(scale registry.Object) error {
	if s.handler == nil {
		return nil
	}
	entries, err := s.handler.ToSubresource()
	if err != nil {
		return fmt.Errorf("manage fields of scale %q: %w", scale.GetName(), err)
	}
	scale.SetManagedFields(entries)
	return nil
}

// Take sets those of the object by what became of the scale's.
func (s Scale) Take(obj, scale registry.Object) error {
	if s.handler == nil {
		return nil
	}
	entries, err := s.handler.ToParent(scale.GetManagedFields())
	if err != nil {
		return fmt.Errorf("manage fields of %q by its scale: %w", obj.GetName(), err)
	}
	obj.SetManagedFields(entries)
	return nil
}
