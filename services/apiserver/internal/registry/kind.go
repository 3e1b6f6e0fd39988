// Package registry says what a kind of object is, and how one is defined. The
// packages below it define them, catalog lists them, and nothing else in the
// server switches on kinds.
package registry

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/internal/access"
)

// Object is a Kubernetes object as the Go types of k8s.io/api hold it.
type Object interface {
	runtime.Object
	metav1.Object
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// Kind describes one kind of object. The functions never do I/O, never keep
// what they are given, and may be called from any goroutine; a nil function
// means there is nothing to do.
type Kind struct {
	GVK        schema.GroupVersionKind
	Resource   string // plural, lower case: "deployments"
	Singular   string
	ShortNames []string
	Categories []string
	Namespaced bool
	// Verbs that the kind has: AllVerbs, or fewer.
	Verbs []string

	// Stored says as what other kind the objects are stored; nil is as this one. Such
	// a kind has Default and what clients see (columns, warnings, fields); all else
	// is the stored kind's.
	Stored *Version

	// Deprecated is what every client of the kind is warned of; "" is nothing.
	Deprecated string

	// Type is the Kubernetes protobuf message name: "k8s.io.api.apps.v1.Deployment".
	Type string
	// New returns an empty object.
	New func() Object
	// NewList returns an empty list object of the kind ("DeploymentList"). It is nil
	// for what is answered and not stored.
	NewList func() runtime.Object

	// Computed makes all the objects of a kind that is read and not stored.
	Computed func(read Read, now time.Time) []Object
	// Acts says that to create an object is to act on another one of its name.
	Acts *Action

	// Default fills in what the user left out, as Kubernetes does.
	Default func(obj Object)
	// PrepareCreate resets what a client may not set (status, generation).
	PrepareCreate func(obj Object, now time.Time)
	// Requested notes in a new object who asked for it, after PrepareCreate, or
	// refuses it by an API error.
	Requested func(obj Object, user access.User) error
	// Needs names a permission that creating obj (old is nil then) or changing it takes
	// beside that to do so; nil is none.
	Needs func(obj, old Object) *Permission
	// PrepareUpdate carries over from old what a plain update may not change
	// (status) and raises metadata.generation when the spec changed.
	PrepareUpdate func(obj, old Object)
	// PrepareStatusUpdate carries over from old all but the status (and what of
	// the metadata a status update may change).
	PrepareStatusUpdate func(obj, old Object)

	// Validate checks a new object, after defaulting. Metadata (name, labels,
	// annotations, owner references) is checked by the caller with ValidateMeta.
	Validate func(obj Object) field.ErrorList
	// ValidateCreate checks what a new object must keep to and a changed one need not.
	// Validate is called as well.
	ValidateCreate func(obj Object) field.ErrorList
	// ValidateUpdate checks a change, immutable fields included. Validate is
	// called as well.
	ValidateUpdate func(obj, old Object) field.ErrorList
	// ValidateStatusUpdate checks a change of the status.
	ValidateStatusUpdate func(obj, old Object) field.ErrorList
	// ValidateName checks metadata.name; nil is a DNS-1123 subdomain.
	ValidateName func(name string, prefix bool) []string

	// Warnings returns what the user should be told though it is accepted.
	Warnings func(obj Object) []string

	// Fields returns the fields a field selector may name, beside
	// metadata.name and metadata.namespace.
	Fields func(obj Object) fields.Set
	// Indexed lists the field paths of Fields that are kept as index values
	// ("spec.nodeName"), so that a watch by one costs nothing for the rest.
	Indexed []string
	// IndexedLabels lists the labels that are kept likewise: a few by which many
	// watch, because each costs memory with every object that has it. What was
	// stored before a label was listed is not seen to go by a watch of it.
	IndexedLabels []string

	// Expires returns when obj, written now, is past its time: the store removes
	// it then, without grace. The zero time, and a nil function, are never. A
	// kind with Claims has none, because nobody would let go of them.
	Expires func(obj Object, now time.Time) time.Time

	// Claims names the cluster-wide values the object holds (cluster IPs, node
	// ports). The server claims them in the same transaction that stores the
	// object, so no value is ever given twice.
	Claims func(obj Object) []Claim
	// Allocate fills in values that the object needs and the user did not name.
	// taken tells whether a claim is held by another object; pick returns a
	// random number in [0, n). Values it picks appear in Claims. old is nil on create.
	Allocate func(obj, old Object, taken func(Claim) bool, pick func(n int) int) *field.Error
	// ClaimTaken words the error for a claim that holder, another object of the kind
	// ("namespace/name", "/name"), holds: a *field.Error or an API error.
	ClaimTaken func(obj Object, c Claim, holder string) error

	// GracePeriod returns the seconds an object is given to end after a
	// deletion; requested is nil when the client named none. 0, and a nil
	// function, mean that the object goes at once.
	GracePeriod func(obj Object, requested *int64) int64
	// PrepareDelete changes an object that is to be deleted and stays for a
	// while, after its deletionTimestamp is set (a namespace's phase).
	PrepareDelete func(obj Object)
	// Held tells whether something beside metadata.finalizers and grace keeps a
	// deleted object (a namespace's spec.finalizers): it goes with the update
	// after which nothing does.
	Held func(obj Object) bool
	// Kept says why the object of that name may not be deleted; "" is that it may.
	Kept func(name string) string
	// CreateOnUpdate says that an update makes the object where there is none.
	CreateOnUpdate bool
	// Versioned says that an update has to name the resourceVersion that it changes.
	Versioned bool
	// Finalizers lists finalizers that every new object gets.
	Finalizers []string
	// DefaultPropagation is what a deletion without propagationPolicy means.
	DefaultPropagation metav1.DeletionPropagation
	// DeleteWarning tells whoever deletes without a propagationPolicy what that means.
	DeleteWarning string

	// Columns of server-side tables, after Name.
	Columns []Column
	// NoNameColumn says that the table does not begin with Name: the kind's own
	// columns hold it where it belongs (events).
	NoNameColumn bool
	// Subresources the kind has, by name: "status", "scale", "binding", "log".
	Subresources []Subresource
}

// Read returns a stored object, encoded; nil where there is none.
type Read func(resource, namespace, name string) []byte

// Action is a subresource of a kind that acts on what is created through it.
type Action struct {
	Kind        *Kind
	Subresource string
}

// Claim is a value that only one object may hold.
type Claim struct {
	// Table is an internal resource: "_clusterips" or "_nodeports".
	Table string
	// Value within it: "10.96.0.10", "TCP/30080".
	Value string
}

// Column is a column of a server-side table.
type Column struct {
	Name        string
	Type        string // "string", "integer", "date"
	Format      string
	Description string
	Wide        bool // shown with -o wide only (priority 1)
	// Value of the cell: a string, an int64, a bool or nil.
	Value func(obj Object, now time.Time) any
}

// Subresource is a part of an object with an endpoint of its own.
type Subresource struct {
	Name  string
	GVK   schema.GroupVersionKind // of the object the endpoint takes and gives; the kind's own by default
	Verbs []string
	// Get makes the subresource's object from the main one ("scale").
	Get func(obj Object) (Object, error)
	// Apply changes obj as the subresource's object says ("scale", "binding").
	// The result is validated and stored like an update, unless Direct is set.
	Apply func(obj Object, sub Object) error
	// Needs names a permission that changing old to obj takes beside that to change
	// the subresource; nil is none.
	Needs func(obj, old Object) *Permission
	// Evicts says that to create it is to delete the object, where budgets allow that.
	Evicts bool
	// Direct says that Apply checks and prepares all by itself: its result is
	// stored without PrepareUpdate and ValidateUpdate, which refuse or undo just
	// what the subresource is for ("binding", "finalize").
	Direct bool
	// Stream says that what it gives and takes is no object ("log", "exec"): only
	// the REST door serves it, and it is never a way to the object.
	Stream bool
	// PrepareUpdate and ValidateUpdate stand in for the kind's where the object
	// itself is updated by way of the subresource ("ephemeralcontainers").
	PrepareUpdate  func(obj, old Object)
	ValidateUpdate func(obj, old Object) field.ErrorList
	// Older are versions in which the object is taken as well, with the same fields.
	Older []schema.GroupVersion
	// NewObject returns an empty subresource object; nil for "status" and "log".
	NewObject func() Object
	// Columns of the server-side table of it, after Name; none for no table.
	Columns []Column
}

// Permission is something that a user must be allowed beside what the request says.
type Permission struct {
	Verb     string
	Resource schema.GroupResource
	// Names of which one must be allowed.
	Names []string
	// Refusal is said where none is.
	Refusal string
}

// GroupResource returns the resource with its group, as errors name it.
func (k *Kind) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}
}

// StoreResource is the resource in the state: "pods", "deployments.apps".
func (k *Kind) StoreResource() string {
	if k.Stored != nil {
		return k.Stored.Kind.StoreResource()
	}
	return k.GroupResource().String()
}
