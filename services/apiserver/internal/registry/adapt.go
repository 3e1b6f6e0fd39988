package registry

import (
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The table's functions take any Object, the functions of a kind take its own
// type; these adapt the one to the other.

func mutate[T Object](f func(T)) func(Object) {
	return func(obj Object) { f(obj.(T)) }
}

func create[T Object](f func(T)) func(Object, time.Time) {
	return func(obj Object, _ time.Time) { f(obj.(T)) }
}

func update[T Object](f func(obj, old T)) func(Object, Object) {
	return func(obj, old Object) { f(obj.(T), old.(T)) }
}

func check[T Object](f func(T) field.ErrorList) func(Object) field.ErrorList {
	return func(obj Object) field.ErrorList { return f(obj.(T)) }
}

func checkUpdate[T Object](f func(obj, old T) field.ErrorList) func(Object, Object) field.ErrorList {
	return func(obj, old Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

func equal(a, b any) bool { return apiequality.Semantic.DeepEqual(a, b) }

// raiseGeneration sets metadata.generation of an updated object: one more than
// before when the desired state changed, as before when it did not.
func raiseGeneration(obj, old Object, changed bool) {
	obj.SetGeneration(old.GetGeneration())
	if changed {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// noGeneration is for kinds that have no desired state of their own.
func noGeneration(obj Object) { obj.SetGeneration(0) }

func keepGeneration(obj, old Object) { obj.SetGeneration(old.GetGeneration()) }

func statusSubresource(gvk schema.GroupVersionKind) Subresource {
	return Subresource{Name: "status", GVK: gvk, Verbs: []string{"get", "patch", "update"}}
}
