package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

func (h *Handler) create(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := objectForm(r, t)
	if err != nil {
		return err
	}
	obj, options, err := h.readObject(w, r, t, createOptions)
	if err != nil {
		return err
	}
	o, err := h.objects.Create(options.context(warned(w, r)), t, obj, options.DryRun)
	if err != nil {
		return err
	}
	if sub, ok := t.Kind.Subresource(t.Subresource); t.Kind.Acts != nil || ok && o.GVK != sub.GVK {
		return writeStatus(w, r, http.StatusCreated, &metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusCreated})
	}
	warn(w, t.Kind, o)
	return h.writeStored(w, r, f, http.StatusCreated, t, o)
}

func (h *Handler) update(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := objectForm(r, t)
	if err != nil {
		return err
	}
	obj, options, err := h.readObject(w, r, t, updateOptions)
	if err != nil {
		return err
	}
	o, created, err := h.objects.Put(options.context(warned(w, r)), t, obj, options.DryRun)
	if err != nil {
		return err
	}
	if t.Subresource == "" {
		warn(w, t.Kind, o)
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	return h.writeStored(w, r, f, code, t, o)
}

func (h *Handler) patch(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := objectForm(r, t)
	if err != nil {
		return err
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind := types.PatchType(media)
	if !slices.Contains(objects.PatchTypes, kind) {
		return objects.UnsupportedPatch()
	}
	options, err := readPatchOptions(r, kind)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	o, created, err := h.objects.Patched(options.context(warned(w, r)), t, objects.Patch{
		Type: kind, Data: body, Force: ptr.Deref(options.Force, false), Validation: options.Validation,
		Warn: func(text string) { addWarning(w, text) },
	}, options.DryRun)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	if t.Subresource == "" {
		warn(w, t.Kind, o)
	}
	return h.writeStored(w, r, f, code, t, o)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &large), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("read request body: %w", err)
	}
	return nil, apierrors.NewBadRequest("read request body: " + err.Error())
}

// readObject reads the object of a create or update.
func (h *Handler) readObject(w http.ResponseWriter, r *http.Request, t objects.Target, kind string) (registry.Object, writeOptions, error) {
	options, err := readOptions(r, kind)
	if err != nil {
		return nil, options, err
	}
	media, err := bodyMedia(r)
	if err != nil {
		return nil, options, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, options, err
	}
	obj, gvk := newObject(t)
	warnings, err := decodeAs(media, body, obj, gvk, options.Validation)
	if err != nil {
		obj, warnings, err = decodeOlder(media, body, t, options.Validation, err)
	}
	for _, text := range warnings {
		addWarning(w, text)
	}
	return obj, options, err
}

func decodeAs(media string, body []byte, into registry.Object, gvk schema.GroupVersionKind, v codec.Validation) ([]string, error) {
	switch media {
	case typeProtobuf:
		return nil, codec.DecodeProtobuf(body, into, gvk)
	case typeYAML:
		return codec.DecodeYAML(body, into, gvk, v)
	}
	return codec.DecodeJSON(body, into, gvk, v)
}

// decodeOlder decodes what is of an older version that the subresource takes, too;
// cause is what was wrong with it as the version that it is of.
func decodeOlder(media string, body []byte, t objects.Target, v codec.Validation, cause error) (registry.Object, []string, error) {
	if sub, ok := t.Kind.Subresource(t.Subresource); ok {
		for _, older := range sub.Older {
			obj, gvk := newObject(t)
			if warnings, err := decodeAs(media, body, obj, older.WithKind(gvk.Kind), v); err == nil {
				obj.GetObjectKind().SetGroupVersionKind(gvk)
				return obj, warnings, nil
			}
		}
	}
	return nil, nil, cause
}

// newObject returns the empty object that a request's body is read into.
func newObject(t objects.Target) (registry.Object, schema.GroupVersionKind) {
	if sub, ok := t.Kind.Subresource(t.Subresource); ok && sub.NewObject != nil {
		return sub.NewObject(), sub.GVK
	}
	return t.Kind.New(), t.Kind.GVK
}

func addWarning(w http.ResponseWriter, text string) {
	if header, err := utilnet.NewWarningHeader(299, "-", text); err == nil {
		w.Header().Add("Warning", header)
	}
}

// warned is the request's context, in which admission warns the client.
func warned(w http.ResponseWriter, r *http.Request) context.Context {
	return objects.WithWarnings(r.Context(), func(text string) { addWarning(w, text) })
}

func warn(w http.ResponseWriter, k *registry.Kind, o objects.Stored) {
	if k.Warnings == nil {
		return
	}
	obj, err := o.Decode()
	if err != nil {
		return // Writing the answer will tell.
	}
	for _, text := range k.Warnings(obj) {
		addWarning(w, text)
	}
}
