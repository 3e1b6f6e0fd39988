package serve_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/serve"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// talkative tells a client of nodes without end, or with a pause after the first.
type talkative struct {
	clusterv1.UnimplementedClusterServiceServer
	ended chan error
}

func (s talkative) WatchLiveness(_ *clusterv1.WatchLivenessRequest, stream grpc.ServerStreamingServer[clusterv1.WatchLivenessResponse]) error {
	r := &clusterv1.WatchLivenessResponse{Nodes: make([]*clusterv1.NodeLiveness, 1000)}
	for i := range r.GetNodes() {
		r.Nodes[i] = &clusterv1.NodeLiveness{Node: "a-node-with-a-name-that-is-rather-long"}
	}
	for {
		if err := stream.Send(r); err != nil {
			s.ended <- err
			return err
		}
	}
}

func (s talkative) ListMembers(_ context.Context, _ *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	return &clusterv1.ListMembersResponse{}, nil
}

// A client that does not read loses its connection; another one, which does, does
// not.
func TestReaders(t *testing.T) {
	readers := serve.NewReaders(200 * time.Millisecond)
	server := grpc.NewServer(grpc.StreamInterceptor(readers.Watch))
	service := talkative{ended: make(chan error, 1)}
	clusterv1.RegisterClusterServiceServer(server, service)
	lis := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(readers.Listen(lis)) }()
	defer func() { server.Stop(); _ = <-served }()
	dial := func() clusterv1.ClusterServiceClient {
		conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return clusterv1.NewClusterServiceClient(conn)
	}
	idle := dial()
	if _, err := idle.ListMembers(t.Context(), &clusterv1.ListMembersRequest{}); err != nil {
		t.Fatal(err)
	}
	stuck, err := dial().WatchLiveness(t.Context(), &clusterv1.WatchLivenessRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-service.ended; err == nil {
		t.Error("the stream ended well")
	}
	for err = nil; err == nil; {
		_, err = stuck.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the client that did not read: %v", err)
	}
	if _, err := idle.ListMembers(t.Context(), &clusterv1.ListMembersRequest{}); err != nil {
		t.Errorf("another client: %v", err)
	}
	reading, err := dial().WatchLiveness(t.Context(), &clusterv1.WatchLivenessRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := reading.Recv(); err != nil {
			t.Fatalf("a client that reads: %v", err)
		}
	}
}
