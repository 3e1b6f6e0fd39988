package cluster

import (
	"google.golang.org/grpc"

	"github.com/musterhq/muster/internal/gossip"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// WatchLiveness implements ClusterService. A slow reader costs nothing: what
// changed twice in the meantime is told once.
func (s *Service) WatchLiveness(_ *clusterv1.WatchLivenessRequest, stream grpc.ServerStreamingServer[clusterv1.WatchLivenessResponse]) error {
	var changed <-chan struct{}
	var members []gossip.Member
	told := make(map[string]gossip.Member)
	for first := true; ; first = false {
		if s.pool != nil {
			members, changed = s.pool.Members()
		}
		out := &clusterv1.WatchLivenessResponse{}
		for _, m := range members {
			if m.Role != gossip.Node || told[m.Name] == m {
				continue
			}
			told[m.Name] = m
			out.Nodes = append(out.Nodes, &clusterv1.NodeLiveness{Node: m.Name, State: livenessOf(m.State), AgentAddress: m.AgentAddress})
		}
		if first || len(out.Nodes) > 0 {
			if err := stream.Send(out); err != nil {
				return err
			}
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-changed:
		}
	}
}

func livenessOf(state gossip.State) clusterv1.LivenessState {
	switch state {
	case gossip.Failed:
		return clusterv1.LivenessState_LIVENESS_STATE_FAILED
	case gossip.Left:
		return clusterv1.LivenessState_LIVENESS_STATE_LEFT
	}
	return clusterv1.LivenessState_LIVENESS_STATE_ALIVE
}
