package sdk

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// ListOptions select objects of a type. The zero value is all of them, as they are now.
type ListOptions struct {
	// Namespace; empty for all.
	Namespace string
	// LabelSelector and FieldSelector in Kubernetes' syntax: "app=web,tier!=db",
	// "spec.nodeName=n1". 400 BadRequest when one does not parse, or the type has no
	// such field to select by.
	LabelSelector, FieldSelector string
	// Limit is the most items of a page; 0 for all in one.
	Limit int64
	// Continue is the token of the page before. IsExpired holds for the error when
	// that was too long ago.
	Continue string
	// ResourceVersion to list at, as ResourceVersionMatch says; empty for now.
	ResourceVersion string
	// ResourceVersionMatch is needed with a ResourceVersion: Exact is that one,
	// NotOlderThan any that is not before it. IsExpired holds for the error when it is
	// no longer kept.
	ResourceVersionMatch metav1.ResourceVersionMatch
}

// DeleteOptions qualify a deletion; the zero value deletes as the type does by
// default.
type DeleteOptions struct {
	// GracePeriodSeconds; nil for the object's own, 0 for at once.
	GracePeriodSeconds *int64
	// UID and ResourceVersion the object must have; empty for any. 409 Conflict when it
	// has others.
	UID             types.UID
	ResourceVersion string
	// Propagation to what the object owns; empty for the type's default.
	Propagation metav1.DeletionPropagation
	// DryRun checks whether it would be done, and does nothing.
	DryRun bool
}

// WriteOption qualifies a write.
type WriteOption func(*writing)

type writing struct {
	manager    string
	dryRun     bool
	force      bool
	validation apiv1.FieldValidation
	warn       func(string)
}

func newWriting(opts []WriteOption) (w writing) {
	for _, set := range opts {
		set(&w)
	}
	return w
}

// DryRun has the server check a write and answer with what would be stored, and
// store nothing.
func DryRun() WriteOption { return func(w *writing) { w.dryRun = true } }

// FieldManager is who the fields are recorded as set by, in metadata.managedFields: a
// name of at most 128 bytes. Without it, that is the client's UserAgent up to its
// first slash.
func FieldManager(name string) WriteOption { return func(w *writing) { w.manager = name } }

// Force has Apply take fields from other managers, where it would be refused with 409
// Conflict.
func Force() WriteOption { return func(w *writing) { w.force = true } }

// Lenient has a patch, or a manifest that is applied, drop fields that the type does
// not have; warn is called with a line of text about each, before the call returns,
// and may be nil. Without it such fields are refused.
func Lenient(warn func(text string)) WriteOption {
	return func(w *writing) {
		w.validation, w.warn = apiv1.FieldValidation_FIELD_VALIDATION_IGNORE, nil
		if warn != nil {
			w.validation, w.warn = apiv1.FieldValidation_FIELD_VALIDATION_WARN, warn
		}
	}
}
