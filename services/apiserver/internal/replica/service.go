package replica

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/proto/inplace"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// service answers the other members. Who may call was settled when the
// connection was made: only servers of the cluster get through.
type service struct {
	clusterv1.UnimplementedReplicaServiceServer
	replica *Replica
}

// newMessageCodec returns the codec of calls between members. Proposals are joined to others
// from where they were received.
func newMessageCodec() encoding.CodecV2 {
	return inplace.Codec((*clusterv1.ForwardRequest)(nil), (*clusterv1.ForwardResponse)(nil))
}

func (r *Replica) newServer() *grpc.Server {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(messageMax),
		grpc.MaxSendMsgSize(messageMax),
		grpc.ForceServerCodecV2(newMessageCodec()),
		grpc.InitialWindowSize(windowSize),
		grpc.InitialConnWindowSize(windowSize),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
	)
	clusterv1.RegisterReplicaServiceServer(server, service{replica: r})
	return server
}

// AddMember adds a member.
func (s service) AddMember(ctx context.Context, req *clusterv1.AddMemberRequest) (*clusterv1.AddMemberResponse, error) {
	if err := s.replica.admit(ctx, req); err != nil {
		return nil, asStatus(err)
	}
	return &clusterv1.AddMemberResponse{}, nil
}

// HandOver gives the leadership to another member.
func (s service) HandOver(ctx context.Context, req *clusterv1.HandOverRequest) (*clusterv1.HandOverResponse, error) {
	if err := s.replica.giveWay(ctx, req.GetId()); err != nil {
		return nil, asStatus(err)
	}
	return &clusterv1.HandOverResponse{}, nil
}

// Status tells how far this member is.
func (s service) Status(context.Context, *clusterv1.StatusRequest) (*clusterv1.StatusResponse, error) {
	return s.replica.status(), nil
}

// RemoveMember removes a member.
func (s service) RemoveMember(_ context.Context, req *clusterv1.RemoveMemberRequest) (*clusterv1.RemoveMemberResponse, error) {
	if err := s.replica.removeServer(req.GetId()); err != nil {
		return nil, asStatus(err)
	}
	return &clusterv1.RemoveMemberResponse{}, nil
}

// asStatus tells a caller whether it knows that nothing was done.
func asStatus(err error) error {
	switch {
	case errors.Is(err, errNotLeader):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, errRefused), errors.Is(err, ErrDiskFull):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, errMalformed):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Aborted, err.Error())
}
