package registry

import "k8s.io/apimachinery/pkg/util/validation/field"

// The table's functions take any Object, the functions of a kind take its own
// type; these adapt the one to the other. A function that a kind has not stays nil.

func adapt[T Object](f func(T)) func(Object) {
	if f == nil {
		return nil
	}
	return func(obj Object) { f(obj.(T)) }
}

func adaptResult[T Object, R any](f func(T) R) func(Object) R {
	if f == nil {
		return nil
	}
	return func(obj Object) R { return f(obj.(T)) }
}

func adaptClaim[T Object](f func(T, Claim, string) error) func(Object, Claim, string) error {
	if f == nil {
		return nil
	}
	return func(obj Object, c Claim, holder string) error { return f(obj.(T), c, holder) }
}

func adaptWith[T Object, A, R any](f func(T, A) R) func(Object, A) R {
	if f == nil {
		return nil
	}
	return func(obj Object, a A) R { return f(obj.(T), a) }
}

func adaptCheck[T Object](f func(obj, old T) field.ErrorList) func(obj, old Object) field.ErrorList {
	if f == nil {
		return nil
	}
	return func(obj, old Object) field.ErrorList { return f(obj.(T), old.(T)) }
}
