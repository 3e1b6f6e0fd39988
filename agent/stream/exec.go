package stream

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// execStream is the apiserver's side of a command.
type execStream = grpc.BidiStreamingServer[agentv1.ExecRequest, agentv1.ExecResponse]

// Exec runs a command until it ends or the call does.
func (s *Server) Exec(stream execStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "the first request must say what to run")
	}
	ctx := stream.Context()
	pod, err := s.pod(start.GetNamespace(), start.GetPod(), start.GetPodUid())
	if err != nil {
		return err
	}
	c, err := s.container(ctx, string(pod.UID), start.GetContainer())
	if err != nil {
		return err
	}
	if err := stream.Send(&agentv1.ExecResponse{Part: &agentv1.ExecResponse_Started{Started: &agentv1.ExecStarted{}}}); err != nil {
		return err
	}
	call := newExecCall(stream, start)
	defer call.close()
	if len(start.GetCommand()) == 0 {
		if err := s.runtime.Attach(ctx, string(pod.UID), c.ID, call.streams); err != nil {
			return failure(ctx, err)
		}
		return nil
	}
	code, err := s.runtime.Stream(ctx, string(pod.UID), c.ID, start.GetCommand(), call.streams)
	if err != nil {
		return failure(ctx, err)
	}
	return stream.Send(&agentv1.ExecResponse{Part: &agentv1.ExecResponse_ExitCode{ExitCode: int32(code)}})
}

// execCall connects a command with the call.
type execCall struct {
	stream  execStream
	streams runtime.Streams
	sending sync.Mutex // gRPC allows one sender at a time
	stdin   *io.PipeReader
	resize  chan runtime.Size
	input   *io.PipeWriter
}

func newExecCall(stream execStream, start *agentv1.ExecStart) *execCall {
	c := &execCall{stream: stream, resize: make(chan runtime.Size, 1)}
	c.stdin, c.input = io.Pipe()
	c.streams = runtime.Streams{TTY: start.GetTty(), Resize: c.resize}
	if start.GetStdin() {
		c.streams.Stdin = c.stdin
	} else {
		_ = c.stdin.Close() // Input that was not announced is dropped.
	}
	if start.GetStdout() {
		c.streams.Stdout = writer(func(b []byte) error {
			return c.send(&agentv1.ExecResponse{Part: &agentv1.ExecResponse_Stdout{Stdout: b}})
		})
	}
	if start.GetStderr() && !start.GetTty() {
		c.streams.Stderr = writer(func(b []byte) error {
			return c.send(&agentv1.ExecResponse{Part: &agentv1.ExecResponse_Stderr{Stderr: b}})
		})
	}
	// The goroutine ends with the call: gRPC fails Recv when its handler returns.
	go c.receive(stream.Context())
	return c
}

// close unblocks whoever still reads or writes the input.
func (c *execCall) close() { _ = c.stdin.Close() }

// receive hands input and sizes on. A command that does not read holds it up,
// and so the caller.
func (c *execCall) receive(ctx context.Context) {
	for {
		request, err := c.stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			_ = c.input.CloseWithError(err)
			return
		}
		switch part := request.GetPart().(type) {
		case *agentv1.ExecRequest_Stdin:
			_, _ = c.input.Write(part.Stdin) // A command that reads no more lets its input go.
		case *agentv1.ExecRequest_StdinEnd:
			_ = c.input.Close()
		case *agentv1.ExecRequest_Resize:
			size := runtime.Size{Width: uint16(part.Resize.GetWidth()), Height: uint16(part.Resize.GetHeight())}
			select {
			case <-c.resize: // Only the newest counts.
			default:
			}
			select {
			case c.resize <- size:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (c *execCall) send(r *agentv1.ExecResponse) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.stream.Send(r)
}

// writer sends what is written in pieces; a piece is the sender's to keep.
type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n := min(len(p)-sent, chunk)
		if err := w(append([]byte(nil), p[sent:sent+n]...)); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}
