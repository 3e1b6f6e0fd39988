package rest

import (
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

func (h *Handler) get(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := objectForm(r, t)
	if err != nil {
		return err
	}
	o, err := h.objects.Get(r.Context(), t, r.URL.Query().Get("resourceVersion"))
	if err != nil {
		return err
	}
	return h.writeStored(w, r, f, http.StatusOK, t, o)
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := pageForm(r, t)
	if err != nil {
		return err
	}
	o, err := listOptions(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := h.objects.List(r.Context(), t, o)
	if err != nil {
		return err
	}
	return h.writePage(w, r, f, t, page)
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
	o.SendInitialEvents = boolean(q, "sendInitialEvents")
	_, err = integer(q, "timeoutSeconds") // which a list does not need, and which must make sense all the same
	return o, err
}
