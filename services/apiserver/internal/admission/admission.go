// Package admission changes and checks objects on their way into the store, as
// Kubernetes' built-in admission plugins do. A plugin is a function over a request;
// what it reads it reads through the plan of the change, so that the transaction
// holds only where that is still so.
package admission

import (
	"cmp"
	"errors"
	"iter"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Operation is what a request does to its object.
type Operation string

// The operations that plugins are asked about.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
)

// Found is an object that a plugin reads: encoded, as the store has it.
type Found struct {
	Value []byte
	// Entry that Depend needs.
	Entry *state.Entry
}

// View is what a plugin sees of the state, what the same transaction has written so
// far included. It is called by one goroutine and does not block.
type View interface {
	// Get returns an object. The change depends on its being unchanged.
	Get(resource, namespace, name string) (Found, bool)
	// List yields the objects of a resource in a namespace, of all namespaces where
	// that is empty. The change does not depend on them.
	List(resource, namespace string) iter.Seq[Found]
	// Depend makes the change depend on what was found being unchanged.
	Depend(found Found)
}

// Request is a change of one object. Plugins may change Object and nothing else.
type Request struct {
	Operation   Operation
	Kind        *registry.Kind
	Namespace   string
	Name        string
	Subresource string
	Object      registry.Object
	// Old is the object before an update; of some kinds only a part of it (Kind.Old).
	Old  registry.Object
	User access.User
	View View
	// Warn tells the client something though the change is accepted. It may be told
	// the same again when a change is planned anew.
	Warn func(text string)

	admitting bool // the name is not made yet, as Kubernetes' messages have it
}

// Forbidden is a plugin's refusal, worded as Kubernetes does.
func (r *Request) Forbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return err
	}
	return apierrors.NewForbidden(r.Kind.GroupResource(), r.named(), err)
}

func (r *Request) refuse(text string) error { return r.Forbidden(errors.New(text)) }

// named returns the name by which messages call the object.
func (r *Request) named() string {
	name := r.Object.GetName()
	if prefix := r.Object.GetGenerateName(); r.admitting && r.Operation == Create && prefix != "" {
		name = prefix
	}
	return cmp.Or(name, r.Name, "Unknown")
}

// plugin is one rule for some kinds.
type plugin struct {
	name string
	// on names what it is asked about: store resources, "pods", and subresources of
	// them, "pods/resize".
	on []string
	// admit changes the object, before it is validated.
	admit func(*Request) error
	// check looks at what is to be stored.
	check func(*Request) error
}

// Options turn parts of admission on that the cluster must be ready for.
type Options struct {
	// TokenVolume gives every pod the volume with its service account's token.
	TokenVolume bool
}

// Chain is the plugins, by what they are asked about. It is never changed after New
// and may be used from any goroutine.
type Chain struct {
	byKind map[*registry.Kind]map[string][]plugin // by subresource
}

// New makes the chain for the kinds that are served.
func New(kinds *registry.Table, o Options) *Chain {
	c := &Chain{byKind: map[*registry.Kind]map[string][]plugin{}}
	for _, p := range plugins(o) {
		for _, on := range p.on {
			resource, sub := cut(on)
			k, ok := kinds.ByStoreResource(resource)
			if !ok {
				continue
			}
			if c.byKind[k] == nil {
				c.byKind[k] = map[string][]plugin{}
			}
			c.byKind[k][sub] = append(c.byKind[k][sub], p)
		}
	}
	return c
}

// cut parts "pods/resize"; a group's name has no slash.
func cut(on string) (resource, subresource string) {
	for i := range on {
		if on[i] == '/' {
			return on[:i], on[i+1:]
		}
	}
	return on, ""
}

// For returns what applies to changes of k through a subresource; most kinds have
// nothing.
func (c *Chain) For(k *registry.Kind, subresource string) Plugins {
	return c.byKind[k][subresource]
}

// Plugins are asked in order; the first refusal stands.
type Plugins []plugin

// Admit has the plugins change r.Object.
func (l Plugins) Admit(r *Request) error {
	r.admitting = true
	defer func() { r.admitting = false }()
	for _, p := range l {
		if p.admit == nil {
			continue
		}
		if err := p.admit(r); err != nil {
			return err
		}
	}
	return nil
}

// Check has the plugins look at r.Object as it is to be stored.
func (l Plugins) Check(r *Request) error {
	for _, p := range l {
		if p.check == nil {
			continue
		}
		if err := p.check(r); err != nil {
			return err
		}
	}
	return nil
}
