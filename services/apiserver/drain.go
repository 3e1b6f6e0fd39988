package apiserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
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
	query := r.URL.Query()
	for _, name := range []string{"watch", "follow"} {
		if on, err := strconv.ParseBool(query.Get(name)); err == nil && on {
			return true
		}
	}
	return false
}
