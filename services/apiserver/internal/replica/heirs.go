package replica

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// heirs has Raft make another member the leader, and asks none a second time that
// did not take over from this leader.
//
// For hashicorp/raft (1.8.0, issue 696) does not end a second transfer to a member
// whose replication hangs, as to one that is paused: a request that the first has
// left there takes the only place, and when the leader is deposed meanwhile nobody
// makes room any more. The transfer then counts as under way for good, and the
// member takes no writes whenever it leads again.
type heirs struct {
	asking lock // held while Raft is asked
	// failed is by member the term of the leader that it did not take over from.
	failed map[string]uint64
}

func newHeirs() *heirs { return &heirs{asking: newLock(), failed: map[string]uint64{}} }

// ask returns when the member leads, or will not. Raft counts a transfer as under way
// a little longer than it takes: who comes then comes again, as writes do.
func (h *heirs) ask(r *raft.Raft, m Member) error {
	h.asking.Lock()
	defer h.asking.Unlock()
	if h.failed[m.ID] == r.CurrentTerm() {
		return fmt.Errorf("%w: %s did not take over when this leader asked it before: ask for another, and then for %s again", errRefused, m.ID, m.ID)
	}
	err := r.LeadershipTransferToServer(raft.ServerID(m.ID), raft.ServerAddress(m.Address)).Error()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("%w: %w", errNotLeader, err)
	}
	// By now the term may be one of another leader, and this matters no more.
	h.failed[m.ID] = r.CurrentTerm()
	return fmt.Errorf("%w: %s did not take over: %w", errRefused, m.ID, err)
}
