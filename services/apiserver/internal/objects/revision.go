package objects

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// What resourceVersion and resourceVersionMatch mean is written at
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions

// futureWait is how long a read waits for a revision that is not here yet, as
// with Kubernetes; futureRetry is when the client may come again.
const (
	futureWait  = 3 * time.Second
	futureRetry = 1 // seconds
)

func (o ListOptions) validate() error {
	err := refused(&internalversion.ListOptions{
		ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch,
		Continue: o.Continue, SendInitialEvents: o.SendInitialEvents,
	})
	if err == nil && o.Continue != "" && o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	}
	return err
}

func (o WatchOptions) validate() error {
	return refused(&internalversion.ListOptions{
		Watch: true, ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch,
		SendInitialEvents: o.SendInitialEvents,
	})
}

func refused(o *internalversion.ListOptions) error {
	errs := validation.ValidateListOptions(o, true)
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", errs)
}

// listView returns what a list may hold.
func (s *Service) listView(ctx context.Context, t Target, o ListOptions) (listed, error) {
	resource := t.Kind.StoreResource()
	if o.Continue == "" {
		view, err := s.listRevision(ctx, o)
		if err != nil {
			return listed{}, err
		}
		return listed{view: view, entries: view.List(resource, t.Namespace)}, nil
	}
	from, err := parseContinuation(o.Continue)
	if err != nil {
		return listed{}, err
	}
	view, err := s.continued(ctx, from)
	if err != nil {
		return listed{}, err
	}
	l := listed{view: view, entries: view.ListAfter(resource, t.Namespace, from.after(resource)), passed: from.Passed}
	if from.Passed == 0 || from.Revision == latest { // others came and went since
		l.passed = unknown
	}
	return l, nil
}

// continued returns the state that a list began with. When that is forgotten,
// the error holds a token by which the client may go on with a later one.
func (s *Service) continued(ctx context.Context, from continuation) (state.View, error) {
	if from.Revision == latest {
		return s.viewNotOlder(ctx, "")
	}
	view, err := s.viewAt(ctx, uint64(from.Revision), continueExpired)
	if status := new(apierrors.StatusError); errors.As(err, &status) && apierrors.IsResourceExpired(err) {
		from.Revision = latest
		token, encodeErr := from.encode()
		if encodeErr != nil {
			return state.View{}, encodeErr
		}
		status.ErrStatus.Continue = token
	}
	return view, err
}

// listRevision returns the state that the options ask for. With a limit and no
// match, a resourceVersion is exact: that is older than the parameter.
func (s *Service) listRevision(ctx context.Context, o ListOptions) (state.View, error) {
	exact := o.ResourceVersionMatch == metav1.ResourceVersionMatchExact ||
		o.ResourceVersionMatch == "" && o.Limit > 0 && o.ResourceVersion != ""
	if !exact {
		return s.viewNotOlder(ctx, o.ResourceVersion)
	}
	revision, err := parseRevision(o.ResourceVersion)
	if err != nil {
		return state.View{}, err
	}
	if revision == 0 {
		return s.replica.Store().View(), nil
	}
	return s.viewAt(ctx, revision, listExpired)
}

// viewNotOlder returns a view at least as new as the resourceVersion says: ""
// is the latest of the cluster, "0" whatever this member has.
func (s *Service) viewNotOlder(ctx context.Context, resourceVersion string) (state.View, error) {
	if resourceVersion == "" {
		view, err := s.read(ctx)
		if err != nil {
			return state.View{}, unavailable(err)
		}
		return view, nil
	}
	revision, err := parseRevision(resourceVersion)
	if err != nil {
		return state.View{}, err
	}
	return s.reach(ctx, revision)
}

// viewAt returns the state as it was at a revision; expired is what to say when
// it is forgotten.
func (s *Service) viewAt(ctx context.Context, revision uint64, expired string) (state.View, error) {
	if _, err := s.reach(ctx, revision); err != nil {
		return state.View{}, err
	}
	view, err := s.replica.Store().ViewAt(revision)
	if errors.Is(err, state.ErrTooOld) {
		return state.View{}, apierrors.NewResourceExpired(expired)
	}
	return view, err
}

// reach returns this member's state once it has a revision. A client may have
// seen that at another member, so it is waited for, but not for long.
func (s *Service) reach(ctx context.Context, revision uint64) (state.View, error) {
	store := s.replica.Store()
	if view := store.View(); view.Revision() >= revision {
		return view, nil
	}
	waiting, cancel := context.WithTimeout(ctx, futureWait)
	defer cancel()
	err := store.Reach(waiting, revision)
	switch {
	case err == nil:
		return store.View(), nil
	case ctx.Err() != nil:
		return state.View{}, context.Cause(ctx)
	}
	return state.View{}, tooLarge(revision, store.View().Revision())
}

func tooLarge(requested, current uint64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", requested, current), futureRetry)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

func parseRevision(resourceVersion string) (uint64, error) {
	revision, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", notNumber(resourceVersion, err)))
	}
	return revision, nil
}

// parseWatchRevision is parseRevision for a watch, which Kubernetes refuses with
// another reason.
func parseWatchRevision(resourceVersion string) (uint64, error) {
	revision, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", field.ErrorList{notNumber(resourceVersion, err)})
	}
	return revision, nil
}

func notNumber(resourceVersion string, err error) *field.Error {
	return field.Invalid(field.NewPath("resourceVersion"), resourceVersion, err.Error())
}
