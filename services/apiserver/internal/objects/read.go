package objects

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Get returns one object, or a subresource that is made from it. A
// resourceVersion of "" reads linearizably, "0" reads what this member has.
func (s *Service) Get(ctx context.Context, t Target, resourceVersion string) (Stored, error) {
	if err := s.authorize(ctx, "get", t, nil); err != nil {
		return Stored{}, err
	}
	view, err := s.viewNotOlder(ctx, resourceVersion)
	if err != nil {
		return Stored{}, err
	}
	return s.get(ctx, view, t)
}

func (s *Service) get(ctx context.Context, view state.View, t Target) (Stored, error) {
	if t.Kind.Computed != nil {
		return s.getComputed(view, t)
	}
	e, ok := view.Get(t.key())
	if !ok {
		return Stored{}, notFound(t)
	}
	stored := storedEntry(t.Kind, e)
	if err := s.authorizeRead(ctx, t, stored); err != nil {
		return Stored{}, err
	}
	if !t.throughView() {
		return stored, nil
	}
	return subresourceOf(t, stored)
}

// authorizeRead checks what only the object itself tells: whether a node reads
// a pod that is bound to it.
func (s *Service) authorizeRead(ctx context.Context, t Target, o Stored) error {
	if !s.restricted(ctx) {
		return nil
	}
	obj, err := o.Decode()
	if err != nil {
		return err
	}
	return s.authorizeChange(ctx, "get", t, obj, nil)
}

func subresourceOf(t Target, stored Stored) (Stored, error) {
	sub, ok := t.Kind.Subresource(t.Subresource)
	if !ok || sub.Get == nil {
		return Stored{}, apierrors.NewMethodNotSupported(t.Kind.GroupResource(), "get")
	}
	obj, err := stored.Decode()
	if err != nil {
		return Stored{}, err
	}
	out, err := sub.Get(obj)
	if err != nil {
		return Stored{}, fmt.Errorf("read %s of %s %q: %w", t.Subresource, t.Kind.Resource, t.Name, err)
	}
	return encodeSubresource(sub, out, stored.Revision)
}

func encodeSubresource(sub *registry.Subresource, obj registry.Object, revision uint64) (Stored, error) {
	obj.SetResourceVersion("")
	value, err := obj.Marshal()
	if err != nil {
		return Stored{}, fmt.Errorf("encode %s: %w", sub.GVK.Kind, err)
	}
	return Stored{GVK: sub.GVK, Type: typeName(obj), Value: value, Revision: revision, newObject: sub.NewObject}, nil
}

// ListOptions say what to list.
type ListOptions struct {
	LabelSelector, FieldSelector string
	// Limit is the most objects to return, 0 for all.
	Limit int64
	// Continue is the token of the page before.
	Continue string
	// ResourceVersion and its match: "" is linearizable, "0" what is there.
	ResourceVersion      string
	ResourceVersionMatch metav1.ResourceVersionMatch
	// SendInitialEvents is refused: it is a watch's.
	SendInitialEvents *bool
}

// Page is a list at one revision.
type Page struct {
	Items     []Stored
	Revision  uint64
	Continue  string
	Remaining *int64
}

// List returns objects ordered by namespace and name.
func (s *Service) List(ctx context.Context, t Target, o ListOptions) (Page, error) {
	sel, err := parseSelector(t.Kind, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return Page{}, err
	}
	if err := s.authorizeSelected(ctx, "list", t, sel); err != nil {
		return Page{}, err
	}
	if err := o.validate(); err != nil {
		return Page{}, err
	}
	l, err := s.listView(ctx, t, o)
	if err != nil {
		return Page{}, err
	}
	if t.Kind.Computed != nil {
		return s.listComputed(l.view, t, sel)
	}
	return l.collect(t, sel, o.Limit)
}

func (s *Service) authorizeSelected(ctx context.Context, verb string, t Target, sel *selector) error {
	t.Name = sel.name()
	return s.authorize(ctx, verb, t, sel.fields)
}

// Count tells about how many objects a list of t goes through, without a look at
// them.
func (s *Service) Count(t Target) int {
	return s.replica.Store().View().Count(t.Kind.StoreResource(), t.Namespace)
}
