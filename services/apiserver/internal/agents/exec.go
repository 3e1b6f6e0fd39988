package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/stream"
)

// command is a container that was found running, and what shall run in it.
type command struct {
	conn   *grpc.ClientConn
	call   grpc.BidiStreamingClient[agentv1.ExecRequest, agentv1.ExecResponse]
	cancel context.CancelFunc
}

// Exec finds the container of a command on its node. ctx ends the command.
func (c *Client) Exec(ctx context.Context, node, address string, start *agentv1.ExecStart) (stream.Command, error) {
	conn, err := c.connect(node, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	out := &command{conn: conn, cancel: cancel}
	if out.call, err = agentv1.NewAgentServiceClient(conn).Exec(ctx); err == nil {
		err = out.call.Send(&agentv1.ExecRequest{Part: &agentv1.ExecRequest_Start{Start: start}})
		if err == nil || errors.Is(err, io.EOF) { // EOF: the answer says why.
			_, err = out.call.Recv()
		}
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// Close ends the command if it still runs.
func (c *command) Close() {
	c.cancel()
	_ = c.conn.Close()
}

// Run runs the command to its end and returns its exit code; 0 when attached.
func (c *command) Run(s stream.Streams) (exitCode int, err error) {
	defer c.Close()
	var sending sync.Mutex // gRPC allows one sender at a time
	send := func(r *agentv1.ExecRequest) error {
		sending.Lock()
		defer sending.Unlock()
		return c.call.Send(r)
	}
	if s.Stdin != nil {
		// It ends when its reader does, which the caller closes after the command.
		go feed(s.Stdin, send)
	}
	if s.Resize != nil {
		go c.resize(s.Resize, send)
	}
	for {
		r, err := c.call.Recv()
		if errors.Is(err, io.EOF) {
			return exitCode, nil
		}
		if err != nil {
			return 0, err
		}
		switch part := r.GetPart().(type) {
		case *agentv1.ExecResponse_Stdout:
			err = write(s.Stdout, part.Stdout)
		case *agentv1.ExecResponse_Stderr:
			err = write(s.Stderr, part.Stderr)
		case *agentv1.ExecResponse_ExitCode:
			exitCode = int(part.ExitCode)
		}
		if err != nil {
			return 0, fmt.Errorf("pass output on: %w", err)
		}
	}
}

func write(w io.Writer, data []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(data)
	return err
}

func feed(stdin io.Reader, send func(*agentv1.ExecRequest) error) {
	buf := make([]byte, chunk)
	for {
		n, err := stdin.Read(buf)
		if n > 0 {
			part := &agentv1.ExecRequest_Stdin{Stdin: append([]byte(nil), buf[:n]...)}
			if send(&agentv1.ExecRequest{Part: part}) != nil {
				return // The call has ended, and says why.
			}
		}
		if err != nil {
			_ = send(&agentv1.ExecRequest{Part: &agentv1.ExecRequest_StdinEnd{StdinEnd: &agentv1.StdinEnd{}}})
			return
		}
	}
}

func (c *command) resize(sizes <-chan remotecommand.TerminalSize, send func(*agentv1.ExecRequest) error) {
	for {
		select {
		case <-c.call.Context().Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			part := &agentv1.TerminalSize{Width: uint32(size.Width), Height: uint32(size.Height)}
			if send(&agentv1.ExecRequest{Part: &agentv1.ExecRequest_Resize{Resize: part}}) != nil {
				return
			}
		}
	}
}
