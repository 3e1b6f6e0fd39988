package registry

import (
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Version says of which stored kind another one is a version, in the same group or
// in another: what is written as the one can be read as the other.
type Version struct {
	// Kind is the one that is stored.
	Kind *Kind
	// To makes the stored kind's object of one of the served kind, From the reverse.
	// They may keep parts of what they are given, and change none.
	To, From func(obj Object) Object
	// ValidateCreate and ValidateUpdate check the stored kind's object for what this
	// version asks beside it; nil is nothing.
	ValidateCreate func(obj Object) field.ErrorList
	ValidateUpdate func(obj, old Object) field.ErrorList
}

// ToStored makes of an object as clients send it one as it is stored. It keeps obj.
func (k *Kind) ToStored(obj Object) Object {
	if k.Stored == nil {
		return obj
	}
	if k.Default != nil {
		k.Default(obj)
	}
	return k.Stored.to(obj)
}

// FromStored makes of an object as it is stored one as clients see it. It keeps obj.
func (k *Kind) FromStored(obj Object) Object {
	if k.Stored == nil {
		return obj
	}
	out := k.Stored.From(obj)
	out.GetObjectKind().SetGroupVersionKind(k.GVK)
	return out
}

func (v *Version) to(obj Object) Object {
	out := v.To(obj)
	out.GetObjectKind().SetGroupVersionKind(v.Kind.GVK)
	return out
}

// VersionOf is what the definition of a kind that is another version of a stored one
// adds.
type VersionOf[T, S Object] struct {
	Stored *Kind
	To     func(T) S
	From   func(S) T
	// Default fills in what is left out in this version, before To.
	Default func(T)

	ValidateCreate func(obj S) field.ErrorList
	ValidateUpdate func(obj, old S) field.ErrorList
	Fields         func(obj T) fields.Set
}

// DefineVersion makes the kind of the type T, which is served and stored as another
// kind: names, columns and warnings are that one's, and so are preparation and
// validation, which see no other object than that one's.
func DefineVersion[T any, P interface {
	*T
	Object
}, S Object](gv schema.GroupVersion, list runtime.Object, v VersionOf[P, S]) *Kind {
	of := v.Stored
	k := Define(gv, list, Definition[P]{
		Resource: of.Resource, ShortNames: of.ShortNames, Categories: of.Categories, Namespaced: of.Namespaced,
		Verbs: of.Verbs, Default: v.Default, Fields: v.Fields, Columns: []Column{}, NoNameColumn: of.NoNameColumn,
	})
	k.PrepareCreate, k.PrepareUpdate, k.PrepareStatusUpdate = nil, nil, nil
	k.DefaultPropagation = of.DefaultPropagation
	k.Stored = &Version{
		Kind: of,
		To:   func(obj Object) Object { return v.To(obj.(P)) },
		From: func(obj Object) Object { return v.From(obj.(S)) },

		ValidateCreate: adaptResult(v.ValidateCreate),
		ValidateUpdate: adaptCheck(v.ValidateUpdate),
	}
	for _, c := range of.Columns {
		value := c.Value
		c.Value = func(obj Object, now time.Time) any { return value(k.Stored.to(obj), now) }
		k.Columns = append(k.Columns, c)
	}
	for _, sub := range of.Subresources {
		if sub.GVK == of.GVK {
			sub.GVK = k.GVK
		}
		k.Subresources = append(k.Subresources, sub)
	}
	if of.Warnings != nil {
		k.Warnings = func(obj Object) []string { return of.Warnings(k.Stored.to(obj)) }
	}
	return k
}
