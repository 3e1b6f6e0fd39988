package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"

	"github.com/musterhq/muster/internal/serve"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// large answers with as many bytes as a client reads in some time only.
type large struct {
	clusterv1.UnimplementedClusterServiceServer
	asked chan struct{}
}

const largeSize = 40 << 20

func (s large) ListMembers(context.Context, *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	s.asked <- struct{}{}
	return &clusterv1.ListMembersResponse{Members: []*clusterv1.Member{{Id: strings.Repeat("x", largeSize)}}}, nil
}

// serveLarge serves large answers to clients that have so long to read them.
func serveLarge(t *testing.T, limit time.Duration) (service large, address string) {
	t.Helper()
	readers := serve.NewReaders(limit)
	server := grpc.NewServer(grpc.UnaryInterceptor(readers.Unary), grpc.ForceServerCodecV2(readers.Codec(encoding.GetCodecV2(proto.Name))))
	service = large{asked: make(chan struct{}, 100)}
	clusterv1.RegisterClusterServiceServer(server, service)
	lis := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(readers.Listen(lis)) }()
	t.Cleanup(func() { server.Stop(); _ = <-served })
	return service, lis.Addr().String()
}

// neverReads makes calls on a connection without ever asking for more of the answers.
func neverReads(t *testing.T, address string, calls int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	framer, encoder := http2.NewFramer(conn, conn), &strings.Builder{}
	_, err = io.WriteString(conn, http2.ClientPreface)
	err = errors.Join(err, framer.WriteSettings(), framer.WriteSettingsAck())
	headers := hpack.NewEncoder(encoder)
	for i := range calls {
		encoder.Reset()
		for _, h := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", clusterv1.ClusterService_ListMembers_FullMethodName}, {":authority", "x"},
			{"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			err = errors.Join(err, headers.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
		}
		id := uint32(2*i + 1)
		err = errors.Join(err,
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(encoder.String()), EndHeaders: true}),
			framer.WriteData(id, true, make([]byte, 5)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// A client that asks for large answers and reads none is cut off; one that reads them
// is not.
func TestAnswersThatAreNotRead(t *testing.T) {
	_, address := serveLarge(t, 300*time.Millisecond)
	stuck := neverReads(t, address, 1)
	_ = stuck.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, stuck); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is kept")
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if _, err := clusterv1.NewClusterServiceClient(conn).ListMembers(t.Context(), &clusterv1.ListMembersRequest{}); err != nil {
			t.Errorf("a client that reads: %v", err)
		}
	}
}

// Who has much to read is not answered more: its next calls wait.
func TestCallsWaitForTheirCallerToRead(t *testing.T) {
	service, address := serveLarge(t, time.Minute)
	for range 2 { // more than one answer of the largest size
		neverReads(t, address, 1)
		<-service.asked
	}
	begun := time.Now()
	for { // until both answers are encoded
		neverReads(t, address, 1)
		select {
		case <-service.asked:
			if time.Since(begun) > 10*time.Second {
				t.Fatal("no call waits")
			}
		case <-time.After(half):
			return
		}
	}
}

// half is how long a call may take that does not wait.
const half = 500 * time.Millisecond
