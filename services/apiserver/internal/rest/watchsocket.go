package rest

import (
	"context"
	"time"

	"golang.org/x/net/websocket"
)

// Browsers watch over a WebSocket, as Kubernetes lets them: each event is a message,
// of text if it is JSON.

// overSocket upgrades the connection and runs a watch on it until that ends or the
// client closes it.
func (s *watchStream) overSocket(ctx context.Context, run func(ctx context.Context) error) {
	serveSocket(ctx, s.w, s.request, nil, func(ctx context.Context, ws *websocket.Conn) {
		s.socket = ws
		if err := run(ctx); err != nil {
			s.handler.logger.Debug("watch broke off", "path", s.request.URL.Path, "cause", err)
		}
	})
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
