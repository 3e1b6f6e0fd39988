package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// seat has the request take seats of its caller's class, which it holds until it
// is answered or its client lets the server wait.
func (h *Handler) seat(w *tracked, r *http.Request) error {
	s, err := h.gate.Seat(r.Context(), h.width(r))
	if err == nil {
		w.sit(s)
	}
	return err
}

// width is how many seats a request takes: more than one where it goes through
// many objects.
func (h *Handler) width(r *http.Request) int {
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		return 1
	}
	route, ok := parseRoute(r.URL.Path)
	if !ok || (route.name != "" && !route.watch) || route.resource == "" {
		return 1
	}
	one := route.name != ""
	route.name = ""
	t, ok := h.target(route)
	if !ok || ((route.watch || isWatch(r)) && !startsWithState(r)) {
		return 1
	}
	if one {
		return 1
	}
	return fairness.ListWidth(h.listed(r, t))
}

// startsWithState tells whether a watch begins with all that is there.
func startsWithState(r *http.Request) bool {
	q := r.URL.Query()
	from := q.Get("resourceVersion")
	if initial := boolean(q, "sendInitialEvents"); initial != nil {
		return *initial
	}
	return from == "" || from == "0"
}

// listed is how many objects a list is about to go through.
func (h *Handler) listed(r *http.Request, t objects.Target) int {
	count := h.objects.Count(t)
	if r.URL.RawQuery == "" {
		return count
	}
	q := r.URL.Query()
	if strings.Contains(q.Get("fieldSelector"), "metadata.name=") {
		return 1
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit <= 0 || q.Get("labelSelector") != "" || q.Get("fieldSelector") != "" {
		return count
	}
	return min(count, limit)
}
