package cluster

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/musterhq/muster/internal/access"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// CreateUserToken implements ClusterService.
func (s *Service) CreateUserToken(ctx context.Context, r *clusterv1.CreateUserTokenRequest) (*clusterv1.CreateUserTokenResponse, error) {
	life, err := lifeOf(r.GetTtlSeconds())
	if err != nil {
		return nil, err
	}
	// Those names are the cluster's own parts, which come with certificates.
	if name := r.GetUser(); name == "" || strings.HasPrefix(name, "system:") || strings.HasPrefix(name, "muster:") {
		return nil, status.Errorf(codes.InvalidArgument, "user %q: a name is needed that does not begin with system: or muster:", name)
	}
	for _, group := range r.GetGroups() {
		if group != "system:masters" && (strings.HasPrefix(group, "system:") || strings.HasPrefix(group, "muster:")) {
			return nil, status.Errorf(codes.InvalidArgument, "group %q: of the groups that begin with system: or muster: only system:masters can be given", group)
		}
	}
	expires := time.Now().Add(life)
	token, err := s.config.Bearers.Issue(ctx, access.User{Name: r.GetUser(), Groups: r.GetGroups()}, life)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "create user token: %v", err)
	}
	return &clusterv1.CreateUserTokenResponse{Token: token, Expires: timestamppb.New(expires)}, nil
}

// lifeOf reads how long a token shall hold.
func lifeOf(seconds int64) (time.Duration, error) {
	life := time.Duration(seconds) * time.Second
	switch {
	case life == 0:
		return defaultTokenLife, nil
	case life < 0 || life > maxTokenLife:
		return 0, status.Errorf(codes.InvalidArgument, "ttl of %v: must be positive and at most %v", life, maxTokenLife)
	}
	return life, nil
}
