package registry

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// strategy is what a write means for the parts that most objects have: the spec,
// the status and metadata.generation.
type strategy[T Object] struct {
	Definition[T]
	spec, status int // indexes of the fields; -1 is none
}

func (s *strategy[T]) prepareCreate(obj Object, _ time.Time) {
	obj.SetGeneration(0)
	if s.counts() {
		obj.SetGeneration(1)
	}
	if s.Status && !s.StatusAtCreate {
		part(obj, s.status).SetZero()
	}
	if s.PrepareCreate != nil {
		s.PrepareCreate(obj.(T))
	}
}

func (s *strategy[T]) counts() bool { return s.Generation || s.Counted != nil }

func (s *strategy[T]) prepareUpdate(obj, old Object) {
	obj.SetGeneration(old.GetGeneration())
	before := old.(T)
	if s.Status {
		part(obj, s.status).Set(part(old, s.status))
	}
	if s.PrepareUpdate != nil {
		s.PrepareUpdate(obj.(T), before)
	}
	if s.changed(obj.(T), before) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// changed tells whether an update changes the desired state.
func (s *strategy[T]) changed(obj, old T) bool {
	if s.Counted != nil {
		return s.Counted(obj, old)
	}
	return s.Generation && !check.Equal(part(obj, s.spec).Interface(), part(old, s.spec).Interface())
}

func (s *strategy[T]) prepareStatusUpdate(obj, old Object) {
	obj.SetGeneration(old.GetGeneration())
	if s.spec >= 0 {
		part(obj, s.spec).Set(part(old, s.spec))
	}
	if s.PrepareStatusUpdate != nil {
		s.PrepareStatusUpdate(obj.(T), old.(T))
	}
}

func (s *strategy[T]) allocator() func(obj, old Object, taken func(Claim) bool, pick func(int) int) *field.Error {
	if s.Allocate == nil {
		return nil
	}
	return func(obj, old Object, taken func(Claim) bool, pick func(int) int) *field.Error {
		before, _ := old.(T)
		return s.Allocate(obj.(T), before, taken, pick)
	}
}

func part(obj Object, index int) reflect.Value { return reflect.ValueOf(obj).Elem().Field(index) }

// SameStatus tells whether two objects of one kind have the same status.
func SameStatus(obj, old Object) bool {
	at := fieldIndex(reflect.TypeOf(obj).Elem(), "Status")
	return check.Equal(part(obj, at).Interface(), part(old, at).Interface())
}
