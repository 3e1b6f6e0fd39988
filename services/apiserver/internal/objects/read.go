package objects

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

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
	e, ok := view.Get(t.key())
	if !ok {
		return Stored{}, notFound(t)
	}
	stored := storedEntry(t.Kind, e)
	if err := s.authorizeRead(ctx, t, stored); err != nil {
		return Stored{}, err
	}
	if sub, ok := t.Kind.Subresource(t.Subresource); t.Subresource == "" || (ok && sub.NewObject == nil) {
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
	view, entries, err := s.listView(ctx, t, o)
	if err != nil {
		return Page{}, err
	}
	return collect(t, sel, o.Limit, view, entries)
}

func (s *Service) authorizeSelected(ctx context.Context, verb string, t Target, sel *selector) error {
	t.Name = sel.name()
	return s.authorize(ctx, verb, t, sel.fields)
}

func (o ListOptions) validate() error {
	var errs field.ErrorList
	path := field.NewPath("resourceVersionMatch")
	switch o.ResourceVersionMatch {
	case "":
	case metav1.ResourceVersionMatchExact, metav1.ResourceVersionMatchNotOlderThan:
		if o.ResourceVersion == "" {
			errs = append(errs, field.Forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
		}
		if o.Continue != "" {
			errs = append(errs, field.Forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
		}
		if o.ResourceVersionMatch == metav1.ResourceVersionMatchExact && o.ResourceVersion == "0" {
			errs = append(errs, field.Forbidden(path, `resourceVersionMatch "Exact" is forbidden for resourceVersion "0"`))
		}
	default:
		errs = append(errs, field.NotSupported(path, o.ResourceVersionMatch,
			[]string{string(metav1.ResourceVersionMatchExact), string(metav1.ResourceVersionMatchNotOlderThan), ""}))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", errs)
	}
	if o.Continue != "" && o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	}
	return nil
}

func (s *Service) listView(ctx context.Context, t Target, o ListOptions) (state.View, iter.Seq[*state.Entry], error) {
	resource := t.Kind.StoreResource()
	if o.Continue != "" {
		from, err := parseContinuation(o.Continue)
		if err != nil {
			return state.View{}, nil, err
		}
		view, err := s.viewAt(ctx, from.Revision, continueExpired)
		if err != nil {
			return state.View{}, nil, err
		}
		return view, view.ListAfter(resource, t.Namespace, from.after(resource)), nil
	}
	view, err := s.listRevision(ctx, o)
	if err != nil {
		return state.View{}, nil, err
	}
	return view, view.List(resource, t.Namespace), nil
}

func (s *Service) listRevision(ctx context.Context, o ListOptions) (state.View, error) {
	if o.ResourceVersionMatch != metav1.ResourceVersionMatchExact {
		return s.viewNotOlder(ctx, o.ResourceVersion)
	}
	revision, err := parseRevision(o.ResourceVersion)
	if err != nil {
		return state.View{}, err
	}
	return s.viewAt(ctx, revision, fmt.Sprintf("The resourceVersion for the provided list is too old: %d", revision))
}

func collect(t Target, sel *selector, limit int64, view state.View, entries iter.Seq[*state.Entry]) (Page, error) {
	page := Page{Revision: view.Revision()}
	var last *state.Entry
	var remaining int64
	for e := range entries {
		if limit > 0 && int64(len(page.Items)) >= limit {
			remaining++
			if !sel.everything() {
				break // Counting would mean to look at every object.
			}
			continue
		}
		ok, err := sel.matches(e)
		if err != nil {
			return Page{}, err
		}
		if last = e; ok {
			page.Items = append(page.Items, storedEntry(t.Kind, e))
		}
	}
	if remaining == 0 {
		return page, nil
	}
	if sel.everything() {
		page.Remaining = &remaining
	}
	token, err := continuation{Revision: view.Revision(), Namespace: last.Key.Namespace, Name: last.Key.Name}.encode()
	page.Continue = token
	return page, err
}

// viewNotOlder returns a view at least as new as the resourceVersion says.
func (s *Service) viewNotOlder(ctx context.Context, resourceVersion string) (state.View, error) {
	if resourceVersion != "" {
		revision, err := parseRevision(resourceVersion)
		if err != nil {
			return state.View{}, err
		}
		if view := s.replica.Store().View(); view.Revision() >= revision {
			return view, nil
		}
	}
	view, err := s.read(ctx)
	if err != nil {
		return state.View{}, unavailable(err)
	}
	if revision, _ := strconv.ParseUint(resourceVersion, 10, 64); revision > view.Revision() {
		return state.View{}, tooLarge(revision, view.Revision())
	}
	return view, nil
}

func (s *Service) viewAt(ctx context.Context, revision uint64, expired string) (state.View, error) {
	if s.replica.Store().View().Revision() < revision {
		if _, err := s.viewNotOlder(ctx, strconv.FormatUint(revision, 10)); err != nil {
			return state.View{}, err
		}
	}
	view, err := s.replica.Store().ViewAt(revision)
	if errors.Is(err, state.ErrTooOld) {
		return state.View{}, apierrors.NewResourceExpired(expired)
	}
	return view, err
}

func tooLarge(requested, current uint64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", requested, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

func parseRevision(resourceVersion string) (uint64, error) {
	revision, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", field.ErrorList{
			field.Invalid(field.NewPath("resourceVersion"), resourceVersion, err.Error())})
	}
	return revision, nil
}
