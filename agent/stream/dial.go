package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// dialStream is the apiserver's side of a connection.
type dialStream = grpc.BidiStreamingServer[agentv1.DialRequest, agentv1.DialResponse]

// Dial connects with a port of a pod and copies both ways until the pod ends the
// connection or the call ends.
func (s *Server) Dial(stream dialStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil || start.GetPort() < 1 || start.GetPort() > 65535 {
		return status.Error(codes.InvalidArgument, "the first request must name a port")
	}
	ctx := stream.Context()
	pod, err := s.pod(start.GetNamespace(), start.GetPod(), start.GetPodUid())
	if err != nil {
		return err
	}
	conn, err := s.connect(ctx, pod, start)
	if err != nil {
		return dialFailure(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := stream.Send(&agentv1.DialResponse{Part: &agentv1.DialResponse_Connected{Connected: &agentv1.Connected{}}}); err != nil {
		return err
	}
	// The goroutine ends with the call: gRPC fails Recv when its handler returns.
	go feed(stream, conn)
	_, err = io.CopyBuffer(writer(func(b []byte) error {
		return stream.Send(&agentv1.DialResponse{Part: &agentv1.DialResponse_Data{Data: b}})
	}), onlyReader{conn}, make([]byte, chunk))
	if err != nil {
		return failure(ctx, err)
	}
	return nil
}

func (s *Server) connect(ctx context.Context, pod *corev1.Pod, start *agentv1.DialStart) (net.Conn, error) {
	if !start.GetFromNode() {
		return s.runtime.Dial(ctx, string(pod.UID), uint16(start.GetPort()))
	}
	if pod.Status.PodIP == "" {
		return nil, errors.New("the pod has no address yet")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(start.GetPort()))))
}

func dialFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, runtime.ErrNotFound) {
		return failure(ctx, err)
	}
	return status.Error(codes.Unavailable, err.Error())
}

// feed writes the caller's data to the pod.
func feed(stream dialStream, conn net.Conn) {
	for {
		request, err := stream.Recv()
		if err != nil {
			return // The call's end closes the connection.
		}
		if request.GetDataEnd() != nil {
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			continue
		}
		if _, err := conn.Write(request.GetData()); err != nil {
			return // The pod's side says why.
		}
	}
}

// onlyReader keeps io.Copy from splicing past the writer's pieces.
type onlyReader struct{ io.Reader }
