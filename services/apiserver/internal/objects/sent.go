package objects

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Decode returns the object that was sent for the target in Kubernetes' protobuf
// encoding.
func (t Target) Decode(raw []byte) (registry.Object, error) {
	newObject, gvk := t.Kind.New, t.Kind.GVK
	if sub, ok := t.Kind.Subresource(t.Subresource); ok && sub.NewObject != nil {
		newObject, gvk = sub.NewObject, sub.GVK
	}
	obj := newObject()
	if err := obj.Unmarshal(raw); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s cannot be decoded: %v", gvk.Kind, err))
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj, nil
}

// sent is the object that a change came with, named as its target. Each plan takes
// one of its own, of the kind that is stored, and makes that what is to be stored.
type sent struct {
	target          Target
	namespace, name string
	object          registry.Object // nil once it is taken
	raw             []byte          // that it was decoded from, or nil: it is copied then
}

func newSent(t Target, obj registry.Object, raw []byte) *sent {
	return &sent{target: t, namespace: obj.GetNamespace(), name: obj.GetName(), object: obj, raw: raw}
}

// take returns the object as the kind that is stored.
func (s *sent) take() (registry.Object, error) {
	obj, err := s.takeAsSent()
	if err != nil || s.target.Kind.Stored == nil || s.target.throughView() {
		return obj, err
	}
	return s.target.Kind.ToStored(obj), nil
}

// takeAsSent returns the object. Mostly there is one plan only, which needs no copy.
func (s *sent) takeAsSent() (registry.Object, error) {
	if s.raw == nil {
		return s.object.DeepCopyObject().(registry.Object), nil
	}
	if obj := s.object; obj != nil {
		s.object = nil
		return obj, nil
	}
	obj, err := s.target.Decode(s.raw)
	if err != nil {
		return nil, err
	}
	obj.SetNamespace(s.namespace)
	obj.SetName(s.name)
	return obj, nil
}
