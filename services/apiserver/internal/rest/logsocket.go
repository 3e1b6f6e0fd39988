package rest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/net/websocket"
)

// The protocols in which Kubernetes sends a log over a WebSocket: as it is, which is
// what a client gets that names none, or encoded in messages of text.
const (
	binaryProtocol = "binary.k8s.io"
	base64Protocol = "base64.binary.k8s.io"
)

// pickLogProtocol takes the first of the client's protocols that is known here.
func pickLogProtocol(config *websocket.Config, _ *http.Request) error {
	if len(config.Protocol) == 0 {
		return nil
	}
	for _, p := range config.Protocol {
		if slices.Contains([]string{binaryProtocol, base64Protocol}, p) {
			config.Protocol = []string{p}
			return nil
		}
	}
	return fmt.Errorf("requested protocol(s) are not supported: %v; supports %v", config.Protocol, []string{"", base64Protocol, binaryProtocol})
}

// logOverSocket upgrades the connection and sends what read gives it, in messages. The
// first one is empty and says that the connection stands.
func (h *Handler) logOverSocket(w http.ResponseWriter, r *http.Request, read func(context.Context, func([]byte) error) error) {
	serveSocket(r.Context(), w, r, pickLogProtocol, func(ctx context.Context, ws *websocket.Conn) {
		encoded := slices.Equal(ws.Config().Protocol, []string{base64Protocol})
		send := func(data []byte) error {
			if err := ws.SetWriteDeadline(time.Now().Add(h.stall)); err != nil {
				return err
			}
			if encoded {
				return websocket.Message.Send(ws, base64.StdEncoding.EncodeToString(data))
			}
			return websocket.Message.Send(ws, data)
		}
		err := send(nil)
		if err == nil {
			err = read(ctx, send)
		}
		if err != nil {
			h.logger.Debug("log broke off", "path", r.URL.Path, "cause", err)
		}
	})
}
