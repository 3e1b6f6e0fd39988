package agents

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// chunk bounds one message, in bytes.
const chunk = 32 << 10

// Dial connects with a port of a pod by the agent of its node. ctx bounds the
// making of the connection only.
func (c *Client) Dial(ctx context.Context, node, address string, start *agentv1.DialStart) (net.Conn, error) {
	conn, err := c.connect(node, address)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	call, err := agentv1.NewAgentServiceClient(conn).Dial(life)
	if err == nil {
		err = call.Send(&agentv1.DialRequest{Part: &agentv1.DialRequest_Start{Start: start}})
		if err == nil || errors.Is(err, io.EOF) { // EOF: the answer says why.
			_, err = call.Recv()
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		_ = conn.Close()
		return nil, err
	}
	return &tunnel{conn: conn, call: call, cancel: cancel, to: address}, nil
}

// tunnel is a connection by way of an agent. Reading and writing may happen at
// the same time, each by one goroutine.
type tunnel struct {
	conn   *grpc.ClientConn
	call   grpc.BidiStreamingClient[agentv1.DialRequest, agentv1.DialResponse]
	cancel context.CancelFunc
	to     string
	left   []byte // of the last message

	sending sync.Mutex
}

func (t *tunnel) Read(b []byte) (int, error) {
	for len(t.left) == 0 {
		r, err := t.call.Recv()
		if err != nil {
			return 0, err
		}
		t.left = r.GetData()
	}
	n := copy(b, t.left)
	t.left = t.left[n:]
	return n, nil
}

func (t *tunnel) Write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n := min(len(b)-sent, chunk)
		part := &agentv1.DialRequest_Data{Data: append([]byte(nil), b[sent:sent+n]...)}
		if err := t.send(&agentv1.DialRequest{Part: part}); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// CloseWrite tells the pod that no more will be sent.
func (t *tunnel) CloseWrite() error {
	return t.send(&agentv1.DialRequest{Part: &agentv1.DialRequest_DataEnd{DataEnd: &agentv1.DataEnd{}}})
}

func (t *tunnel) send(r *agentv1.DialRequest) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.call.Send(r)
}

func (t *tunnel) Close() error {
	t.cancel()
	return t.conn.Close()
}

// A tunnel has no deadlines: who wants one closes it.
func (t *tunnel) SetDeadline(time.Time) error      { return nil }
func (t *tunnel) SetReadDeadline(time.Time) error  { return nil }
func (t *tunnel) SetWriteDeadline(time.Time) error { return nil }
func (t *tunnel) LocalAddr() net.Addr              { return tunnelAddr(t.to) }
func (t *tunnel) RemoteAddr() net.Addr             { return tunnelAddr(t.to) }

// tunnelAddr is the agent that a tunnel goes through.
type tunnelAddr string

func (tunnelAddr) Network() string  { return "tunnel" }
func (a tunnelAddr) String() string { return string(a) }
