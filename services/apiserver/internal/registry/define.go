package registry

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/internal/access"
)

// AllVerbs are what can be done to a kind that names no Verbs.
var AllVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

// Definition is what a kind adds to what its Go type tells: its fields are those of
// Kind, with functions that take the kind's own type. Define makes a Kind of it.
type Definition[T Object] struct {
	// Resource, where it is not the plural of the type's name.
	Resource   string
	ShortNames []string
	Categories []string
	Namespaced bool
	Verbs      []string

	// Status says that the object has a status, which the subresource of that name
	// alone writes: it is emptied at creation and kept by any other update.
	Status bool
	// StatusAtCreate says that who creates the object brings its status along.
	StatusAtCreate bool
	// Generation says that metadata.generation counts the changes of the spec.
	Generation bool
	// Counted tells what generation counts, where that is not the spec alone.
	Counted func(obj, old T) bool

	// The functions prepare what is left after the above was done.
	Default             func(obj T)
	PrepareCreate       func(obj T)
	PrepareUpdate       func(obj, old T)
	PrepareStatusUpdate func(obj, old T)

	Requested func(obj T, user access.User) error

	Validate             func(obj T) field.ErrorList
	ValidateCreate       func(obj T) field.ErrorList
	ValidateUpdate       func(obj, old T) field.ErrorList
	ValidateStatusUpdate func(obj, old T) field.ErrorList
	ValidateName         func(name string, prefix bool) []string

	Warnings func(obj T) []string
	Fields   func(obj T) fields.Set

	Indexed       []string
	IndexedLabels []string

	Expires func(obj T, now time.Time) time.Time

	Claims     func(obj T) []Claim
	Allocate   func(obj, old T, taken func(Claim) bool, pick func(n int) int) *field.Error
	ClaimTaken func(obj T, c Claim, holder string) error

	GracePeriod   func(obj T, requested *int64) int64
	PrepareDelete func(obj T)
	Held          func(obj T) bool
	Kept          func(name string) string
	Versioned     bool
	// CreateOnUpdate has an update make the object where there is none.
	CreateOnUpdate bool
	Finalizers     []string
	// DeleteWarning is what Kind.DeleteWarning is.
	DeleteWarning string
	// Propagation is what a deletion without propagationPolicy means; background,
	// where it is not said.
	Propagation metav1.DeletionPropagation

	Columns      []Column
	NoNameColumn bool
	Subresources []Subresource
}

// Define makes the kind of the type T; list is an empty list of it, nil where it is
// answered and not stored.
func Define[T any, P interface {
	*T
	Object
}](gv schema.GroupVersion, list runtime.Object, d Definition[P]) *Kind {
	t := reflect.TypeFor[T]()
	gvk := gv.WithKind(t.Name())
	plural, singular := meta.UnsafeGuessKindToResource(gvk)
	if d.Resource == "" {
		d.Resource = plural.Resource
	}
	if d.Verbs == nil {
		d.Verbs = AllVerbs
	}
	if d.Propagation == "" {
		d.Propagation = metav1.DeletePropagationBackground
	}
	if d.Columns == nil {
		d.Columns = []Column{Age()}
	}
	if d.Status {
		d.Subresources = append([]Subresource{{Name: "status", Verbs: []string{"get", "patch", "update"}}}, d.Subresources...)
	}
	for i := range d.Subresources {
		if sub := &d.Subresources[i]; sub.GVK.Empty() {
			sub.GVK = gvk
		}
	}
	s := strategy[P]{Definition: d, spec: fieldIndex(t, "Spec"), status: fieldIndex(t, "Status")}
	var newList func() runtime.Object
	if list != nil {
		newList = list.DeepCopyObject
	}
	return &Kind{
		GVK: gvk, Resource: d.Resource, Singular: singular.Resource, ShortNames: d.ShortNames,
		Categories: d.Categories, Namespaced: d.Namespaced, Verbs: d.Verbs,
		Deprecated: deprecation(gvk, P(new(T))),

		Type:    TypeName(t),
		New:     func() Object { return P(new(T)) },
		NewList: newList,

		Default:             adapt(d.Default),
		PrepareCreate:       s.prepareCreate,
		PrepareUpdate:       s.prepareUpdate,
		PrepareStatusUpdate: s.prepareStatusUpdate,
		Requested:           adaptWith(d.Requested),

		Validate:             adaptResult(d.Validate),
		ValidateCreate:       adaptResult(d.ValidateCreate),
		ValidateUpdate:       adaptCheck(d.ValidateUpdate),
		ValidateStatusUpdate: adaptCheck(d.ValidateStatusUpdate),
		ValidateName:         d.ValidateName,
		Warnings:             adaptResult(d.Warnings),

		Fields: adaptResult(d.Fields), Indexed: d.Indexed, IndexedLabels: d.IndexedLabels,
		Expires: adaptWith(d.Expires),

		Claims: adaptResult(d.Claims), Allocate: s.allocator(), ClaimTaken: adaptClaim(d.ClaimTaken),

		GracePeriod: adaptWith(d.GracePeriod), PrepareDelete: adapt(d.PrepareDelete),
		Held: adaptResult(d.Held), Kept: d.Kept, Versioned: d.Versioned, CreateOnUpdate: d.CreateOnUpdate,
		Finalizers: d.Finalizers, DefaultPropagation: d.Propagation, DeleteWarning: d.DeleteWarning,

		Columns: d.Columns, NoNameColumn: d.NoNameColumn, Subresources: d.Subresources,
	}
}

// TypeName is the protobuf message of a Go type, as Kubernetes' generators derive it.
func TypeName(t reflect.Type) string {
	return strings.ReplaceAll(t.PkgPath(), "/", ".") + "." + t.Name()
}

// deprecation words what the Go type tells of its own future, as Kubernetes does.
func deprecation(gvk schema.GroupVersionKind, obj any) string {
	d, ok := obj.(interface{ APILifecycleDeprecated() (major, minor int) })
	if !ok {
		return ""
	}
	named := func(k schema.GroupVersionKind) string { return k.GroupVersion().String() + " " + k.Kind }
	major, minor := d.APILifecycleDeprecated()
	text := fmt.Sprintf("%s is deprecated in v%d.%d+", named(gvk), major, minor)
	if r, ok := obj.(interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}); ok {
		text += "; use " + named(r.APILifecycleReplacement())
	}
	return text
}

// fieldIndex finds a field of a struct; -1 is none.
func fieldIndex(t reflect.Type, name string) int {
	if f, ok := t.FieldByName(name); ok && len(f.Index) == 1 {
		return f.Index[0]
	}
	return -1
}

// Answered are the verbs of kinds that are answered and not stored. There are no lists
// of such.
var Answered = []string{"create"}
