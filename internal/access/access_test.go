package access_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/musterhq/muster/internal/access"
	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
	_ "github.com/musterhq/muster/proto/muster/agent/v1"
	_ "github.com/musterhq/muster/proto/muster/api/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	_ "github.com/musterhq/muster/proto/muster/controller/v1"
	_ "github.com/musterhq/muster/proto/muster/scheduler/v1"
)

// TestEveryMethodDeclaresRoles is the promise that no RPC of ours is open by
// oversight.
func TestEveryMethodDeclaresRoles(t *testing.T) {
	methods := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if file.Package().Parent().Parent() != "muster" {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				methods++
				if _, err := access.RolesOf(service.Methods().Get(j)); err != nil {
					t.Error(err)
				}
			}
		}
		return true
	})
	if methods < 15 {
		t.Errorf("saw %d methods: the test does not look at our services", methods)
	}
}

func TestCheckServerRefusesUndeclaredMethods(t *testing.T) {
	guard := access.NewGuard(access.UserFromPeer)
	srv := grpc.NewServer()
	clusterv1.RegisterClusterServiceServer(srv, clusterv1.UnimplementedClusterServiceServer{})
	if err := guard.CheckServer(srv); err != nil {
		t.Errorf("a service that declares roles: %v", err)
	}
	healthgrpc.RegisterHealthServer(srv, healthgrpc.UnimplementedHealthServer{})
	if err := guard.CheckServer(srv); err == nil {
		t.Error("a service without roles is served")
	}
}

func TestRole(t *testing.T) {
	tests := []struct {
		user access.User
		want accessv1.Role
	}{
		{access.User{Name: "root", Groups: []string{"system:masters"}}, accessv1.Role_ROLE_ADMIN},
		{access.User{Name: "muster:server:s1", Groups: []string{"muster:servers"}}, accessv1.Role_ROLE_SERVER},
		{access.User{Name: "muster:server:s1"}, accessv1.Role_ROLE_USER},
		{access.User{Name: "system:kube-scheduler"}, accessv1.Role_ROLE_SCHEDULER},
		{access.User{Name: "system:kube-controller-manager"}, accessv1.Role_ROLE_CONTROLLER_MANAGER},
		{access.User{Name: "system:node:n1", Groups: []string{"system:nodes"}}, accessv1.Role_ROLE_NODE},
		{access.User{Name: "system:node:n1"}, accessv1.Role_ROLE_USER},
		{access.User{Name: "eve", Groups: []string{"system:nodes"}}, accessv1.Role_ROLE_USER},
		{access.User{Name: access.Anonymous}, accessv1.Role_ROLE_ANONYMOUS},
		{access.User{}, accessv1.Role_ROLE_ANONYMOUS},
	}
	for _, test := range tests {
		if got := test.user.Role(); got != test.want {
			t.Errorf("%v: %v, want %v", test.user, got, test.want)
		}
	}
}

// echoUser answers ListMembers with the caller's name, to show that it arrives.
type echoUser struct {
	clusterv1.UnimplementedClusterServiceServer
}

func (echoUser) ListMembers(ctx context.Context, _ *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	user, _ := access.UserFrom(ctx)
	return &clusterv1.ListMembersResponse{ClusterId: user.Name}, nil
}

func (echoUser) WatchLiveness(_ *clusterv1.WatchLivenessRequest, stream grpc.ServerStreamingServer[clusterv1.WatchLivenessResponse]) error {
	user, _ := access.UserFrom(stream.Context())
	return stream.Send(&clusterv1.WatchLivenessResponse{Nodes: []*clusterv1.NodeLiveness{{Node: user.Name}}})
}

func dialAs(t *testing.T, user access.User) clusterv1.ClusterServiceClient {
	t.Helper()
	guard := access.NewGuard(func(context.Context) (access.User, error) { return user, nil })
	srv := grpc.NewServer(grpc.UnaryInterceptor(guard.Unary()), grpc.StreamInterceptor(guard.Stream()))
	clusterv1.RegisterClusterServiceServer(srv, echoUser{})
	lis := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	t.Cleanup(func() { srv.Stop(); _ = <-served })
	conn, err := grpc.NewClient("passthrough:///test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return clusterv1.NewClusterServiceClient(conn)
}

func TestGuard(t *testing.T) {
	node := access.User{Name: "system:node:n1", Groups: []string{"system:nodes"}}
	admin := access.User{Name: "root", Groups: []string{"system:masters"}}
	anyone := access.User{Name: access.Anonymous}
	call := map[string]func(context.Context, clusterv1.ClusterServiceClient) error{
		"ListMembers": func(ctx context.Context, c clusterv1.ClusterServiceClient) error {
			_, err := c.ListMembers(ctx, &clusterv1.ListMembersRequest{})
			return err
		},
		"WatchLiveness": func(ctx context.Context, c clusterv1.ClusterServiceClient) error {
			stream, err := c.WatchLiveness(ctx, &clusterv1.WatchLivenessRequest{})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
		"Join": func(ctx context.Context, c clusterv1.ClusterServiceClient) error {
			_, err := c.Join(ctx, &clusterv1.JoinRequest{})
			return err
		},
	}
	tests := []struct {
		method string
		user   access.User
		want   codes.Code
	}{
		{"ListMembers", node, codes.OK},
		{"ListMembers", anyone, codes.Unauthenticated},
		{"WatchLiveness", admin, codes.OK},
		{"WatchLiveness", node, codes.PermissionDenied},
		{"WatchLiveness", anyone, codes.Unauthenticated},
		{"Join", anyone, codes.Unimplemented}, // let through to the service
		{"Join", node, codes.Unimplemented},
	}
	for _, test := range tests {
		err := call[test.method](t.Context(), dialAs(t, test.user))
		if got := status.Code(err); got != test.want {
			t.Errorf("%s as %s: %v, want %v", test.method, test.user.Name, err, test.want)
		}
	}
}

func TestGuardHandsOnTheUser(t *testing.T) {
	client := dialAs(t, access.User{Name: "system:kube-controller-manager"})
	members, err := client.ListMembers(t.Context(), &clusterv1.ListMembersRequest{})
	if err != nil || members.GetClusterId() != "system:kube-controller-manager" {
		t.Errorf("unary: %v, %v", members, err)
	}
	stream, err := client.WatchLiveness(t.Context(), &clusterv1.WatchLivenessRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetNodes()[0].GetNode() != "system:kube-controller-manager" {
		t.Errorf("stream: %v, %v", first, err)
	}
}
