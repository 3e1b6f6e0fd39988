package controller

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
)

// Input is a type that a controller reads. It is made by For or Reads.
type Input struct {
	name   string
	prime  func(*Caches)
	attach func(*Caches, func(Request)) (remove func())
}

// Type is the input's Kubernetes message name.
func (in Input) Type() string { return in.name }

// For declares a type whose changes have to be reconciled: the function maps a
// changed object (before and after the change) to the keys concerned. It runs in
// the informer's goroutine: it may look at caches, must not block, and must not
// modify the object.
func For[T sdk.Object](requests func(T) []Request) Input {
	return from(sdk.TypeNameOf[T](), Cache[T], requests)
}

// ForMetadata is For by the metadata of a type that is known at run time only.
func ForMetadata(typ string, requests func(*metav1.PartialObjectMetadata) []Request) Input {
	return from(typ, func(c *Caches) *informer.Informer[*metav1.PartialObjectMetadata] { return MetadataCache(c, typ) }, requests)
}

func from[T sdk.Object](typ string, cache func(*Caches) *informer.Informer[T], requests func(T) []Request) Input {
	return Input{
		name:  typ,
		prime: func(c *Caches) { cache(c) },
		attach: func(c *Caches, add func(Request)) func() {
			var none T
			each := func(obj T) {
				for _, r := range requests(obj) {
					add(r)
				}
			}
			return cache(c).OnChange(func(old, new T) {
				if any(old) != any(none) {
					each(old)
				}
				if any(new) != any(none) {
					each(new)
				}
			})
		},
	}
}

// Reads declares a type that is only looked at: its changes cause nothing.
func Reads[T sdk.Object]() Input {
	return For(func(T) []Request { return nil })
}

// Self maps an object to its own key, as a controller wants it for its main type.
func Self[T sdk.Object](obj T) []Request {
	return []Request{{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
}

// OwnerOf maps an object to its controlling owner of a kind ("ReplicaSet").
func OwnerOf[T sdk.Object](kind string) func(T) []Request {
	return func(obj T) []Request {
		for _, ref := range obj.GetOwnerReferences() {
			if ref.Controller != nil && *ref.Controller && ref.Kind == kind {
				return []Request{{Namespace: obj.GetNamespace(), Name: ref.Name}}
			}
		}
		return nil
	}
}

// Shared marks an output that several controllers write, each its own part of
// it: all of them have to say so.
func Shared(output string) string { return sharedPrefix + output }

const sharedPrefix = "shared:"

// runnable is an informer of any type.
type runnable interface {
	Run(ctx context.Context) error
	WaitSynced(ctx context.Context) error
	CheckUnmodified() []string
}
