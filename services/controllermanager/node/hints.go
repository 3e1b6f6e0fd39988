package node

import (
	"context"
	"time"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// hintRetry is the time until the stream of hints is opened again.
const hintRetry = time.Second

// hints reads what gossip says of the nodes. Whatever it says of one, that node
// is probed: gossip errs when a machine is short of time, and a node that gossip
// has alive again should not wait for its next turn.
func (m *Monitor) hints(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.readHints(ctx)
		if ctx.Err() != nil {
			return
		}
		m.log.Warn("liveness hints interrupted", "error", err)
		timer := time.NewTimer(hintRetry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (m *Monitor) readHints(ctx context.Context) error {
	stream, err := clusterv1.NewClusterServiceClient(m.client.Conn()).WatchLiveness(ctx, &clusterv1.WatchLivenessRequest{})
	if err != nil {
		return err
	}
	// What is known at first is no news: every node is probed at the start anyway.
	for first := true; ; first = false {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, n := range resp.GetNodes() {
			if !first || n.GetState() != clusterv1.LivenessState_LIVENESS_STATE_ALIVE {
				m.hint(n.GetNode())
			}
		}
	}
}
