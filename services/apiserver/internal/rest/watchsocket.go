package rest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/websocket"
)

// Browsers watch over a WebSocket, as Kubernetes lets them: each event is a message,
// of text if it is JSON.

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// overSocket upgrades the connection and runs a watch on it until that ends or the
// client closes it.
func (s *watchStream) overSocket(ctx context.Context, run func(ctx context.Context) error) {
	server := websocket.Server{Handler: func(ws *websocket.Conn) {
		ctx, cancel := context.WithCancel(ctx)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			defer cancel()
			_, _ = io.Copy(io.Discard, ws) // clients have nothing to say
		}()
		s.socket = ws
		if err := run(ctx); err != nil {
			s.handler.logger.Debug("watch broke off", "path", s.request.URL.Path, "cause", err)
		}
		_ = ws.Close()
		<-closed
	}}
	server.ServeHTTP(hijackable{s.w}, s.request)
}

// message sends an event as a message.
func (s *watchStream) message(data []byte) error {
	if err := s.socket.SetWriteDeadline(time.Now().Add(s.handler.stall)); err != nil {
		return err
	}
	if s.form.media == typeProtobuf {
		return websocket.Message.Send(s.socket, data)
	}
	return websocket.Message.Send(s.socket, string(data))
}

// hijackable lets an upgrade take the connection, whatever wraps the writer.
type hijackable struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
