package rest

import (
	"net/http"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

func (h *Handler) get(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	o, err := h.objects.Get(r.Context(), t, r.URL.Query().Get("resourceVersion"))
	if err != nil {
		return err
	}
	return h.writeStored(w, r, http.StatusOK, t, o)
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	o, err := listOptions(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := h.objects.List(r.Context(), t, o)
	if err != nil {
		return err
	}
	return h.writePage(w, r, t, page)
}

func listOptions(q url.Values) (objects.ListOptions, error) {
	o := objects.ListOptions{
		LabelSelector: q.Get("labelSelector"), FieldSelector: q.Get("fieldSelector"), Continue: q.Get("continue"),
		ResourceVersion:      q.Get("resourceVersion"),
		ResourceVersionMatch: metav1.ResourceVersionMatch(q.Get("resourceVersionMatch")),
	}
	limit, err := integer(q, "limit")
	if err != nil {
		return o, err
	}
	if limit != nil {
		o.Limit = *limit
	}
	o.SendInitialEvents, err = boolean(q, "sendInitialEvents")
	return o, err
}

// integer reads a query parameter; nil is one that is not there.
func integer(q url.Values, name string) (*int64, error) {
	text := q.Get(name)
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, badParameter(name, err)
	}
	return &n, nil
}

// boolean reads a query parameter; nil is one that is not there.
func boolean(q url.Values, name string) (*bool, error) {
	text := q.Get(name)
	if text == "" {
		return nil, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return nil, badParameter(name, err)
	}
	return &b, nil
}

func badParameter(name string, err error) error {
	return apierrors.NewBadRequest("invalid query parameter " + name + ": " + err.Error())
}
