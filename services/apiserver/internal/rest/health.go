package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const readyTimeout = 3 * time.Second

// check is one thing that a probe looks at.
type check struct {
	name string
	ok   func(*Handler, context.Context) error
}

var (
	ping = check{"ping", func(*Handler, context.Context) error { return nil }}
	raft = check{"raft", func(h *Handler, ctx context.Context) error { return h.objects.Ready(ctx) }}

	probes = map[string][]check{"healthz": {ping}, "livez": {ping}, "readyz": {ping, raft}}
)

// serveHealth answers the probes, which need no credentials: all checks together
// (/readyz, /readyz?verbose, /readyz?exclude=raft) or one (/readyz/raft).
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	name, only, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	checks, ok := probes[name]
	if !ok {
		return false
	}
	if only != "" {
		i := slices.IndexFunc(checks, func(c check) bool { return c.name == only })
		if i < 0 {
			return false
		}
		checks = checks[i : i+1]
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	query := r.URL.Query()
	report, ok := h.examine(ctx, checks, query["exclude"])
	switch {
	case !ok:
		writeText(w, http.StatusInternalServerError, report+name+" check failed\n")
	case query.Has("verbose"):
		writeText(w, http.StatusOK, report+name+" check passed\n")
	default:
		writeText(w, http.StatusOK, "ok")
	}
	return true
}

// examine makes the checks that are not excluded and says how each went, in
// Kubernetes' words: why one fails is for the log alone.
func (h *Handler) examine(ctx context.Context, checks []check, excluded []string) (report string, ok bool) {
	ok = true
	for _, c := range checks {
		if slices.Contains(excluded, c.name) {
			report += "[+]" + c.name + " excluded: ok\n"
		} else if err := c.ok(h, ctx); err != nil {
			h.logger.Debug("not ready", "check", c.name, "cause", err)
			report, ok = report+"[-]"+c.name+" failed: reason withheld\n", false
		} else {
			report += "[+]" + c.name + " ok\n"
		}
	}
	return report, ok
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprint(w, text)
}
