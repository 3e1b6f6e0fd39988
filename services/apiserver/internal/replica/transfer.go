package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// TransferLeadership has the leader give way to another voter, to whichever has
// come farthest if id is empty, and returns who leads then. It tries until ctx
// ends; that a member cannot take over is an error at once.
func (r *Replica) TransferLeadership(ctx context.Context, id string) (string, error) {
	was, _ := r.Leader()
	err := r.viaLeader(ctx,
		func(ctx context.Context) error { return r.giveWay(ctx, id) },
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
func (r *Replica) giveWay(ctx context.Context, id string) error {
	if !r.IsLeader() {
		return errNotLeader
	}
	if id == r.config.ID {
		return nil
	}
	if id == "" {
		return r.giveWayToAny(ctx)
	}
	m, ok := r.member(id)
	switch {
	case !ok:
		return fmt.Errorf("%w: %s is no member", errRefused, id)
	case !m.Voter:
		return fmt.Errorf("%w: %s does not vote, and so cannot lead", errRefused, id)
	case r.ask(ctx, []Member{m})[id] == nil:
		// Raft would take no writes for as long as it waits for it.
		return fmt.Errorf("%w: %s does not answer", errRefused, id)
	}
	failpoint.Hit("replica/members/hand-over")
	return r.heirs.ask(r.raft, m)
}

// giveWayToAny tries the other voters, but for those that are silent: Raft alone
// would ask one that died lately as soon as any other.
func (r *Replica) giveWayToAny(ctx context.Context) error {
	silent := r.contacts.silences()
	others := slices.DeleteFunc(r.voters(), func(m Member) bool { return m.ID == r.config.ID || silent[m.ID] != nil })
	if len(others) == 0 {
		return fmt.Errorf("%w: there is no other member that votes and answers", errRefused)
	}
	var errs []error
	for _, m := range others {
		err := r.giveWay(ctx, m.ID)
		if err == nil || errors.Is(err, errNotLeader) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// handOver gives the leadership to another voter, if this member has it, so that
// the cluster need not first miss it.
func (r *Replica) handOver() {
	err := r.giveWay(context.Background(), "")
	if err != nil && !errors.Is(err, errNotLeader) && len(r.voters()) > 1 {
		r.config.Logger.Warn("hand over leadership", "error", err)
	}
}
