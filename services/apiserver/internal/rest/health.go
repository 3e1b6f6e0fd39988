package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const readyTimeout = 3 * time.Second

// serveHealth answers the probes, which need no credentials.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch path {
	case "/healthz", "/livez", "/livez/ping", "/healthz/ping":
		writeText(w, http.StatusOK, "ok")
		return true
	case "/readyz":
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := h.objects.Ready(ctx); err != nil {
		h.logger.Debug("not ready", "cause", err)
		writeText(w, http.StatusInternalServerError, "[+]ping ok\n[-]raft failed: reason withheld\nreadyz check failed")
		return true
	}
	writeText(w, http.StatusOK, "ok")
	return true
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprint(w, text)
}
