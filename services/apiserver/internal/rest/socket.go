package rest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/websocket"
)

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// serveSocket upgrades the connection and runs send on it until that returns. Its
// context ends when the client closes the connection: one that only listens has
// nothing to say. A nil handshake takes every protocol.
func serveSocket(ctx context.Context, w http.ResponseWriter, r *http.Request, handshake func(*websocket.Config, *http.Request) error, send func(context.Context, *websocket.Conn)) {
	server := websocket.Server{Handshake: handshake, Handler: func(ws *websocket.Conn) {
		ctx, cancel := context.WithCancel(ctx)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			defer cancel()
			_, _ = io.Copy(io.Discard, ws)
		}()
		send(ctx, ws)
		_ = ws.Close()
		<-closed
	}}
	server.ServeHTTP(hijackable{w}, r)
}

// hijackable lets an upgrade take the connection, whatever wraps the writer.
type hijackable struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
