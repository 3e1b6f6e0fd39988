package controllermanager

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	controllerv1 "github.com/musterhq/muster/proto/muster/controller/v1"
)

// Register adds the ControllerService to a server.
func (m *Manager) Register(r grpc.ServiceRegistrar) {
	controllerv1.RegisterControllerServiceServer(r, &service{manager: m})
}

// service tells how the controllers do.
type service struct {
	controllerv1.UnimplementedControllerServiceServer
	manager *Manager
}

// ListControllers implements ControllerService.
func (s *service) ListControllers(context.Context, *controllerv1.ListControllersRequest) (*controllerv1.ListControllersResponse, error) {
	resp := &controllerv1.ListControllersResponse{Leading: s.manager.Leading()}
	for _, st := range s.manager.stats() {
		c := &controllerv1.Controller{
			Name: st.Name, Inputs: st.Inputs, Outputs: st.Outputs, Queued: int64(st.Queued),
			Reconciled: st.Reconciled, Failed: st.Failed, LastError: st.LastError,
		}
		if !st.LastErrorTime.IsZero() {
			c.LastErrorTime = timestamppb.New(st.LastErrorTime)
		}
		resp.Controllers = append(resp.Controllers, c)
	}
	slices.SortFunc(resp.Controllers, func(a, b *controllerv1.Controller) int { return strings.Compare(a.GetName(), b.GetName()) })
	return resp, nil
}
