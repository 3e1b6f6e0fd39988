package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

var objectMethods = "/" + apiv1.ObjectService_ServiceDesc.ServiceName + "/"

// Seated has calls on objects take seats of their caller's class. Those that
// stream take theirs themselves.
func (s *Service) Seated(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, objectMethods) {
		return handler(ctx, request)
	}
	seat, err := s.gate.Seat(ctx, s.width(request))
	if err != nil {
		return nil, asStatus(err)
	}
	defer seat.Release()
	return handler(ctx, request)
}

// width is how many seats a call takes.
func (s *Service) width(request any) int {
	switch r := request.(type) {
	case *apiv1.ListRequest:
		n := s.count(r.GetType(), r.GetNamespace())
		if limit := int(r.GetLimit()); limit > 0 && r.GetLabelSelector() == "" && r.GetFieldSelector() == "" {
			n = min(n, limit)
		}
		return fairness.ListWidth(n)
	case *apiv1.TransactRequest:
		return fairness.BatchWidth(len(r.GetOperations()))
	}
	return 1
}

func (s *Service) count(typeName, namespace string) int {
	k, err := s.kind(typeName)
	if err != nil {
		return 0
	}
	return s.objects.Count(objects.Target{Kind: k, Namespace: namespace})
}
