package replica

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// TransferLeadership has the leader give way to another voter, to whichever has
// come farthest if id is empty, and returns who leads then. It tries until ctx
// ends; that a member cannot take over is an error at once.
func (r *Replica) TransferLeadership(ctx context.Context, id string) (string, error) {
	was, _ := r.Leader()
	err := r.viaLeader(ctx,
		func(context.Context) error { return r.giveWay(id) },
		func(ctx context.Context, leader clusterv1.ReplicaServiceClient) error {
			_, err := leader.HandOver(ctx, &clusterv1.HandOverRequest{Id: id})
			return err
		})
	if err != nil {
		return "", fmt.Errorf("transfer leadership to %s: %w", id, err)
	}
	for {
		changed := r.leaders.change()
		if now, _ := r.Leader(); now != "" && (now == id || id == "" && now != was) {
			return now, nil
		}
		pause(ctx, changed)
		if ctx.Err() != nil {
			return "", fmt.Errorf("transfer leadership to %s: %w: %w", id, ErrNoLeader, context.Cause(ctx))
		}
	}
}

// giveWay is for the leader.
func (r *Replica) giveWay(id string) error {
	if !r.IsLeader() {
		return errNotLeader
	}
	if id == r.config.ID {
		return nil
	}
	if id == "" {
		if len(r.voters()) < 2 {
			return fmt.Errorf("%w: there is no other member that votes", errRefused)
		}
		return r.yield(r.raft.LeadershipTransfer())
	}
	switch m, ok := r.member(id); {
	case !ok:
		return fmt.Errorf("%w: %s is no member", errRefused, id)
	case !m.Voter:
		return fmt.Errorf("%w: %s does not vote, and so cannot lead", errRefused, id)
	default:
		failpoint.Hit("replica/members/hand-over")
		return r.yield(r.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(m.Address)))
	}
}

func (r *Replica) yield(transfer raft.Future) error {
	if err := transfer.Error(); err != nil {
		return fmt.Errorf("%w: the next leader did not take over: %w", errRefused, err)
	}
	return nil
}

// handOver gives the leadership to another voter, if this member has it, so that
// the cluster need not first miss it. Those that are silent are not tried: Raft
// would ask one that died lately as soon as any other.
func (r *Replica) handOver() {
	silent := r.contacts.silences()
	heirs := slices.DeleteFunc(r.voters(), func(m Member) bool { return m.ID == r.config.ID || silent[m.ID] != nil })
	for _, heir := range heirs {
		if !r.IsLeader() {
			return
		}
		err := r.giveWay(heir.ID)
		if err == nil {
			return
		}
		r.config.Logger.Warn("hand over leadership", "to", heir.ID, "error", err)
	}
}
