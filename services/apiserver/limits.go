package apiserver

import (
	"log/slog"
	"net/http"
	"time"
)

// What a client may take of the REST door, as Kubernetes limits it where it does.
const (
	// headerTime is how long the headers of a request may take to come, or the
	// handshake before them.
	headerTime = 32 * time.Second
	// headerSize bounds the headers of a request, its path and query among them.
	headerSize = 1 << 20 // bytes
	// idleTime is how long a connection is kept on which nothing is asked.
	idleTime = 90 * time.Second
	// answerTime is how long a request may take until it is answered and the client
	// has read it. Those that last, and answers that are long, see to themselves.
	answerTime = 95 * time.Second
	// stallLimit is how long a connection may take nothing of what is sent.
	stallLimit = 30 * time.Second
	// streams is how many requests may be under way on a connection of HTTP/2.
	streams = 250
)

func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerSize,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: streams, WriteByteTimeout: stallLimit},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
