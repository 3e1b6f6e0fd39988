package objects

import (
	"fmt"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// A change of a kind that is served in several versions is planned on the stored
// one: it is converted where it comes in, and the outcome where it goes out. A read
// is converted when it is decoded or encoded.

// stored is the target as the state has it.
func (t Target) stored() Target {
	if v := t.Kind.Stored; v != nil {
		t.Kind = v.Kind
	}
	return t
}

// throughView tells whether the target is a subresource with an object of its own.
func (t Target) throughView() bool {
	if t.Subresource == "" {
		return false
	}
	sub, ok := t.Kind.Subresource(t.Subresource)
	return !ok || sub.NewObject != nil
}

// asSeen has a change that is written for the version that the client speaks made to
// what is stored.
func (t Target) asSeen(change func(registry.Object) (registry.Object, error)) func(registry.Object) (registry.Object, error) {
	if t.Kind.Stored == nil || t.throughView() {
		return change
	}
	return func(old registry.Object) (registry.Object, error) {
		obj, err := change(t.Kind.FromStored(old))
		if err != nil {
			return nil, err
		}
		stored := t.Kind.ToStored(obj)
		return stored, t.checkChanged(stored, old)
	}
}

// checkNew checks a new object for what the version that the client speaks asks.
func (t Target) checkNew(obj registry.Object) error {
	if v := t.Kind.Stored; v != nil && v.ValidateCreate != nil {
		if errs := v.ValidateCreate(obj); len(errs) > 0 {
			return invalid(t.Kind, obj.GetName(), errs)
		}
	}
	return nil
}

// checkChanged is checkNew for a changed object.
func (t Target) checkChanged(obj, old registry.Object) error {
	if v := t.Kind.Stored; v != nil && v.ValidateUpdate != nil {
		if errs := v.ValidateUpdate(obj, old); len(errs) > 0 {
			return invalid(t.Kind, obj.GetName(), errs)
		}
	}
	return nil
}

// seenAs has the outcome of a step be an object of the kind.
func seenAs(k *registry.Kind, st step) step {
	if k.Stored == nil {
		return st
	}
	return func(p *plan) (Outcome, error) {
		out, err := st(p)
		if err != nil {
			return out, err
		}
		obj, err := storedValue(k, out.Object.Value, 0).Decode()
		if err != nil {
			return out, err
		}
		value, err := encode(k, obj)
		out.Object = Unstored(k, value, out.Object.Revision)
		return out, err
	}
}

// encodeProtobuf converts and encodes. What does not decode was not encoded by this
// server.
func (s Stored) encodeProtobuf() []byte {
	obj, err := s.Decode()
	if err != nil {
		panic(err)
	}
	value, err := obj.Marshal()
	if err != nil {
		panic(fmt.Errorf("encode %s %q: %w", s.GVK.Kind, obj.GetName(), err))
	}
	return value
}
