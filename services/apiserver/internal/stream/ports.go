package stream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc/status"
	tunnel "k8s.io/client-go/tools/portforward"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// Dial connects with a port of a pod. ctx bounds the making of the connection.
// The error's text goes to the client.
type Dial func(ctx context.Context, port uint16) (net.Conn, error)

// ServePorts forwards a client's connections until it goes away. ports are those
// that a client of the older WebSocket protocol named in its request.
func ServePorts(w http.ResponseWriter, r *http.Request, pod, uid string, ports []int32, dial Dial) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.WithContext(quiet(ctx))
	h := &hijacker{ResponseWriter: w, gone: cancel}
	forward := forwarder{ctx, dial}
	options := &portforward.V4Options{Ports: ports}
	var writer http.ResponseWriter = h
	switch {
	case wsstream.IsWebSocketRequestWithTunnelingProtocol(r):
		conn, err := untunnel(h, r)
		if err != nil {
			return // The WebSocket's server has answered.
		}
		defer func() { _ = conn.Close() }()
		writer, r = &tunnelled{header: http.Header{}, conn: conn}, inner(r)
	case wsstream.IsWebSocketRequest(r) && len(ports) == 0:
		http.Error(w, `query parameter "port" is required`, http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(writer, r, forward, pod, uid, options, idleTimeout, creationTimeout, portforward.SupportedProtocols)
}

// untunnel takes a WebSocket for the connection that SPDY is spoken on.
func untunnel(w *hijacker, r *http.Request) (net.Conn, error) {
	upgrader := websocket.Upgrader{
		Subprotocols: []string{portforward.WebsocketsSPDYTunnelingPortForwardV1},
		// The request was authorised; no cookie is one here, so its origin says nothing.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return tunnel.NewTunnelingConnection("server", conn), nil
}

// inner is the request that the client would have made without the tunnel.
func inner(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.Header = http.Header{}
	out.Header.Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
	out.Header.Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
	out.Header.Set(httpstream.HeaderProtocolVersion, portforward.PortForwardV1Name)
	return out
}

// tunnelled is the answer to the inner request, of which nobody reads the head.
type tunnelled struct {
	header http.Header
	conn   net.Conn
}

func (t *tunnelled) Header() http.Header       { return t.header }
func (*tunnelled) Write(b []byte) (int, error) { return len(b), nil }
func (*tunnelled) WriteHeader(int)             {}

func (t *tunnelled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t.conn, bufio.NewReadWriter(bufio.NewReader(t.conn), bufio.NewWriter(t.conn)), nil
}

// forwarder connects the client's streams with a pod's ports.
type forwarder struct {
	ctx  context.Context // ends with the client
	dial Dial
}

// PortForward implements portforward.PortForwarder. It ends when the pod ends the
// connection, as clients expect it.
func (f forwarder) PortForward(_ context.Context, _, _ string, port int32, client io.ReadWriteCloser) error {
	pod, err := f.dial(f.ctx, uint16(port))
	if err != nil {
		return errors.New(status.Convert(err).Message())
	}
	defer func() { _ = pod.Close() }()
	stop := context.AfterFunc(f.ctx, func() { _ = pod.Close() })
	defer stop()
	// The goroutine ends with the client's stream.
	go func() {
		if _, err := io.Copy(pod, client); err == nil {
			if half, ok := pod.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			return
		}
		// What is not read would hold up the streams beside it.
		_, _ = io.Copy(io.Discard, client)
	}()
	if _, err = io.Copy(client, pod); err != nil && f.ctx.Err() == nil {
		return errors.New(status.Convert(err).Message())
	}
	return nil
}
