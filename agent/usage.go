package agent

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/runtime"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// Usage measures the machine and its pods.
func (s *service) Usage(ctx context.Context, _ *agentv1.UsageRequest) (*agentv1.UsageResponse, error) {
	machine, started, err := node.Usage()
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	resp := &agentv1.UsageResponse{Node: measured(machine, started)}
	pods, err := s.agent.cfg.Runtime.Pods(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	for _, p := range pods {
		used, err := s.podUsage(ctx, p)
		if errors.Is(err, runtime.ErrNotFound) {
			continue // It went meanwhile.
		}
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		resp.Pods = append(resp.Pods, used)
	}
	return resp, nil
}

func (s *service) podUsage(ctx context.Context, p runtime.Pod) (*agentv1.PodUsage, error) {
	whole, each, err := s.agent.cfg.Runtime.Usage(ctx, p.Sandbox.PodUID)
	if err != nil {
		return nil, err
	}
	out := &agentv1.PodUsage{
		Namespace: p.Sandbox.Namespace, Name: p.Sandbox.Name, Uid: p.Sandbox.PodUID, Usage: measured(whole, p.Sandbox.CreatedAt),
	}
	for _, c := range p.Containers {
		if used, runs := each[c.ID]; runs && c.State == runtime.Running {
			out.Containers = append(out.Containers, &agentv1.ContainerUsage{Name: c.Name, Usage: measured(used, c.StartedAt)})
		}
	}
	return out, nil
}

func measured(u runtime.Usage, start time.Time) *agentv1.Usage {
	return &agentv1.Usage{
		Time: timestamppb.Now(), Start: timestamppb.New(start), CpuNanoseconds: uint64(u.CPU),
		MemoryBytes: uint64(u.Memory), WorkingSetBytes: uint64(u.WorkingSet),
	}
}
