package apiserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
)

var errClosing = errors.New("the server is stopping")

// drained has an HTTP server let the requests that it is answering finish when it
// shuts down, and end those that would go on for as long as the client likes.
func drained(server *http.Server) {
	closing, begin := context.WithCancelCause(context.Background())
	server.RegisterOnShutdown(func() { begin(errClosing) })
	server.BaseContext = func(net.Listener) context.Context { return context.Background() }
	inner := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lasting(r) {
			ctx, cancel := context.WithCancelCause(r.Context())
			defer cancel(nil)
			defer context.AfterFunc(closing, func() { cancel(errClosing) })()
			r = r.WithContext(ctx)
		}
		inner.ServeHTTP(w, r)
	})
}

// lasting tells watches, and logs that are followed, from requests that end by
// themselves.
func lasting(r *http.Request) bool {
	if r.URL.RawQuery == "" {
		return strings.Contains(r.URL.Path, "/watch/")
	}
	query := r.URL.Query()
	for _, name := range []string{"watch", "follow"} {
		// All but "0" and "false" is true, as with Kubernetes.
		if on := query[name]; len(on) > 0 && on[0] != "0" && !strings.EqualFold(on[0], "false") {
			return true
		}
	}
	return strings.Contains(r.URL.Path, "/watch/")
}
