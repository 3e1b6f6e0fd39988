package apiserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/serve"
	"github.com/musterhq/muster/sdk/exchange"
	"github.com/musterhq/muster/services/apiserver/internal/cluster"
	"github.com/musterhq/muster/services/apiserver/internal/descriptors"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// Methods of gRPC's own services, whose protos do not say who may call them.
var (
	healthMethods = []string{
		healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName, healthv1.Health_List_FullMethodName,
	}
	reflectionMethods = []string{
		reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
		reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName,
	}
	// everybody may learn what the API looks like, as by discovery over HTTPS.
	everybody = []accessv1.Role{
		accessv1.Role_ROLE_ADMIN, accessv1.Role_ROLE_SERVER, accessv1.Role_ROLE_SCHEDULER,
		accessv1.Role_ROLE_CONTROLLER_MANAGER, accessv1.Role_ROLE_NODE, accessv1.Role_ROLE_USER,
	}
)

func (s *Server) wireGRPC() error {
	guard := access.NewGuard(func(ctx context.Context) (access.User, error) {
		user, err := s.authn.AuthenticateRPC(ctx)
		return user, rpc.Refused(err)
	})
	guard.Declare([]accessv1.Role{accessv1.Role_ROLE_ANONYMOUS}, healthMethods...)
	guard.Declare(everybody, reflectionMethods...)
	tlsConfig := s.config.KeyPair.ServerTLS(tls.VerifyClientCertIfGiven, "h2")
	s.rpc = rpc.New(s.objects, s.gate)
	s.rpc.WriteDown(s.audit)
	s.grpc = serve.NewGRPCServer(credentials.NewTLS(tlsConfig), guard,
		grpc.ChainUnaryInterceptor(s.readers.Unary, bounded, s.rpc.Audited, s.rpc.Seated), grpc.ChainStreamInterceptor(s.readers.Watch),
		grpc.ForceServerCodecV2(s.readers.Codec(exchange.Codec())))
	apiv1.RegisterObjectServiceServer(s.grpc, s.rpc)
	clusterv1.RegisterClusterServiceServer(s.grpc, s.cluster)
	s.health = health.NewServer()
	s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING)
	s.health.SetServingStatus(clusterv1.ClusterService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	s.registerReflection()
	return guard.CheckServer(s.grpc)
}

// registerReflection has the server describe its services, and the Kubernetes
// messages that travel in them.
func (s *Server) registerReflection() {
	options := reflection.ServerOptions{Services: s.grpc, DescriptorResolver: &descriptors.Resolver{}}
	reflectionv1.RegisterServerReflectionServer(s.grpc, reflection.NewServerV1(options))
	reflectionv1alpha.RegisterServerReflectionServer(s.grpc, reflection.NewServer(options))
}

// bounded ends a call whose caller set no deadline: without a quorum it would
// wait for as long as there is none.
func bounded(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, rpc.CallTimeout)
	defer cancel()
	return handler(ctx, request)
}

func (s *Server) gossipAddress() string {
	_, port, err := net.SplitHostPort(s.config.GossipListen)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(s.config.AdvertiseAddress, port)
}

func (s *Server) members() []cluster.RaftMember {
	var out []cluster.RaftMember
	for _, m := range s.replica.Members() {
		out = append(out, cluster.RaftMember{ID: m.ID, Address: m.Address, Leader: m.Leader, Voter: m.Voter})
	}
	return out
}

// How often the gRPC health is judged, and how long the judgement may take.
const (
	healthInterval = time.Second
	healthTimeout  = 3 * time.Second
)

// setHealth sets the health of the server as a whole and of the objects.
func (s *Server) setHealth(status healthv1.HealthCheckResponse_ServingStatus) {
	for _, service := range []string{"", apiv1.ObjectService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(service, status)
	}
}

// reportHealth keeps the gRPC health as /readyz says it: not serving without a
// quorum, since reads need one as writes do, and from the moment in which the doors
// begin to close. ClusterService serves until then: who the servers are it says
// without one, too. A full disk refuses writes, on all servers alike, and makes none
// of them unhealthy.
func (s *Server) reportHealth(ctx context.Context) error {
	defer s.health.Shutdown()
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		status := healthv1.HealthCheckResponse_SERVING
		try, cancel := context.WithTimeout(ctx, healthTimeout)
		if err := s.objects.Ready(try); err != nil {
			status = healthv1.HealthCheckResponse_NOT_SERVING
		}
		cancel()
		s.setHealth(status)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// addresses returns where the live ones of the servers that Raft counts as
// members answer REST, as far as they are IPs.
func (s *Server) addresses() []netip.AddrPort {
	members := map[netip.Addr]bool{}
	for _, m := range s.replica.Members() {
		if a, err := netip.ParseAddrPort(m.Address); err == nil {
			members[a.Addr()] = true
		}
	}
	var out []netip.AddrPort
	for _, text := range s.cluster.LiveRESTAddresses() {
		// A loopback address leads every node to itself.
		if a, err := netip.ParseAddrPort(text); err == nil && members[a.Addr()] && !a.Addr().IsLoopback() {
			out = append(out, a)
		}
	}
	return out
}
