package rest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/fieldmanager"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// writeOptions are the parameters of the query that all writes have in common.
type writeOptions struct {
	DryRun     bool
	Validation codec.Validation
	// Manager is who the fields that are written belong to: by default whoever the
	// request's User-Agent names.
	Manager string
	// Force is set for patches only.
	Force *bool
}

// The kinds of options that errors name.
const (
	createOptions = "CreateOptions"
	updateOptions = "UpdateOptions"
	patchOptions  = "PatchOptions"
)

// readOptions reads the options of a create or update.
func readOptions(r *http.Request, kind string) (writeOptions, error) {
	if r.URL.RawQuery == "" {
		return newWriteOptions(r, nil, "", "")
	}
	q := r.URL.Query()
	o := metav1.CreateOptions{DryRun: q["dryRun"], FieldManager: q.Get("fieldManager"), FieldValidation: q.Get("fieldValidation")}
	if errs := validation.ValidateCreateOptions(&o); len(errs) > 0 {
		return writeOptions{}, invalidOptions(kind, errs)
	}
	return newWriteOptions(r, o.DryRun, o.FieldManager, o.FieldValidation)
}

// readPatchOptions reads those of a patch.
func readPatchOptions(r *http.Request, patch types.PatchType) (writeOptions, error) {
	q := r.URL.Query()
	o := metav1.PatchOptions{
		DryRun: q["dryRun"], FieldManager: q.Get("fieldManager"), FieldValidation: q.Get("fieldValidation"), Force: boolean(q, "force"),
	}
	if errs := validation.ValidatePatchOptions(&o, patch); len(errs) > 0 {
		return writeOptions{}, invalidOptions(patchOptions, errs)
	}
	out, err := newWriteOptions(r, o.DryRun, o.FieldManager, o.FieldValidation)
	out.Force = o.Force
	return out, err
}

func newWriteOptions(r *http.Request, dryRun []string, manager, fieldValidation string) (writeOptions, error) {
	if manager == "" {
		manager = fieldmanager.NameOf(r.UserAgent())
	}
	v, err := codec.ParseValidation(fieldValidation)
	return writeOptions{DryRun: len(dryRun) > 0, Validation: v, Manager: manager}, err
}

// context returns one in which writes are the manager's.
func (o writeOptions) context(ctx context.Context) context.Context {
	return objects.WithManager(ctx, o.Manager)
}

func invalidOptions(kind string, errs field.ErrorList) error {
	return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind(kind).GroupKind(), "", errs)
}

// integer reads a query parameter; nil is one that is not there.
func integer(q url.Values, name string) (*int64, error) {
	values := q[name]
	if len(values) == 0 {
		return nil, nil
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return &n, nil
}

// boolean reads a query parameter; nil is one that is not there. As with
// Kubernetes, all but "0" and "false" is true, also nothing.
func boolean(q url.Values, name string) *bool {
	values := q[name]
	if len(values) == 0 {
		return nil
	}
	b := values[0] != "0" && !strings.EqualFold(values[0], "false")
	return &b
}

// isSet reads a query parameter that is false where it is not there.
func isSet(q url.Values, name string) bool {
	b := boolean(q, name)
	return b != nil && *b
}
