package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// errRefused is what trying again does not help against.
var errRefused = errors.New("change of members refused")

// AddVoter adds a member, which must be running and reachable, or changes the
// address of one. A new one votes once it has caught up; AddVoter waits for
// that. It tries until ctx ends.
func (r *Replica) AddVoter(ctx context.Context, id, address string) error {
	return r.add(ctx, &clusterv1.AddMemberRequest{Id: id, Address: address})
}

// AddNonvoter adds a member that never votes, or changes its address.
func (r *Replica) AddNonvoter(ctx context.Context, id, address string) error {
	return r.add(ctx, &clusterv1.AddMemberRequest{Id: id, Address: address, NonVoter: true})
}

func (r *Replica) add(ctx context.Context, request *clusterv1.AddMemberRequest) error {
	err := r.viaLeader(ctx,
		func(ctx context.Context) error { return r.admit(ctx, request) },
		func(ctx context.Context, leader clusterv1.ReplicaServiceClient) error {
			_, err := leader.AddMember(ctx, request)
			return err
		})
	if err != nil {
		return fmt.Errorf("add member %s at %s: %w", request.GetId(), request.GetAddress(), err)
	}
	return nil
}

// RemoveServer takes a member out of the cluster; one that is not in it is no
// error. It tries until ctx ends.
func (r *Replica) RemoveServer(ctx context.Context, id string) error {
	err := r.viaLeader(ctx,
		func(context.Context) error { return r.removeServer(id) },
		func(ctx context.Context, leader clusterv1.ReplicaServiceClient) error {
			_, err := leader.RemoveMember(ctx, &clusterv1.RemoveMemberRequest{Id: id})
			return err
		})
	if err != nil {
		return fmt.Errorf("remove member %s: %w", id, err)
	}
	return nil
}

// viaLeader does something here if this member leads, else at the leader, until
// it succeeds or is refused.
func (r *Replica) viaLeader(ctx context.Context, here func(context.Context) error, there func(context.Context, clusterv1.ReplicaServiceClient) error) error {
	for {
		changed := r.leaders.change()
		err := errNotLeader
		if r.IsLeader() {
			err = here(ctx)
		} else if leader := r.leaders.address(); leader != "" {
			var client clusterv1.ReplicaServiceClient
			if client, err = r.peers.client(leader); err == nil {
				bounded, cancel := r.leaders.bounded(ctx, handshakeTimeout+r.config.Timing.Attempt)
				err = there(bounded, client)
				cancel()
			}
		}
		switch {
		case err == nil, errors.Is(err, errRefused):
			return err
		case status.Code(err) == codes.FailedPrecondition:
			return fmt.Errorf("%w: %s", errRefused, status.Convert(err).Message())
		}
		pause(ctx, changed)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w: %w", ErrNoLeader, err, context.Cause(ctx))
		}
	}
}

// admit is for the leader. A member that nobody can reach would count for the
// majority all the same, once it votes, and could cost the cluster its only one;
// so it is called first, and does not vote before it has caught up.
func (r *Replica) admit(ctx context.Context, request *clusterv1.AddMemberRequest) error {
	if !r.IsLeader() {
		return errNotLeader
	}
	id, address := request.GetId(), request.GetAddress()
	known, present := r.member(id)
	if present && known.Voter && request.GetNonVoter() {
		return fmt.Errorf("%w: member %s votes: it can be one that does not only when it was removed and joins anew", errRefused, id)
	}
	if !present || known.Address != address {
		if err := r.admissible(ctx, id, address); err != nil {
			return err
		}
		add := r.raft.AddNonvoter
		if known.Voter {
			add = r.raft.AddVoter
		}
		failpoint.Hit("replica/members/add")
		r.changing.Lock()
		err := r.membership(add(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout))
		r.changing.Unlock()
		failpoint.Hit("replica/members/added")
		if err != nil {
			return err
		}
	}
	if known.Voter || request.GetNonVoter() {
		return nil
	}
	r.caretaker.look()
	return r.elevated(ctx, id)
}

// admissible says why a new member, or a new address, is none.
func (r *Replica) admissible(ctx context.Context, id, address string) error {
	if id == "" || address == "" {
		return fmt.Errorf("%w: a member needs an id and an address", errRefused)
	}
	for _, m := range r.Members() {
		switch {
		case m.ID != id && m.Address == address:
			return fmt.Errorf("%w: %s is the address of member %s", errRefused, address, m.ID)
		case m.ID == id && r.reaches(ctx, m.Address):
			return fmt.Errorf("%w: member %s answers at %s: if that is the server that is to move to %s, have it keep its address; else choose another name and data directory for one of the two",
				errRefused, id, m.Address, address)
		}
	}
	if err := r.reach(ctx, address); err != nil {
		return fmt.Errorf("%w: the new member cannot be reached: %w", errRefused, err)
	}
	return nil
}

// reach says why nobody answers at a member's address.
func (r *Replica) reach(ctx context.Context, address string) error {
	conn, err := r.dialer.dial(ctx, address, protocolRaft)
	if err != nil {
		return err
	}
	return conn.Close()
}

// reaches tells whether a member still answers where it was. One that moved does
// not; else two servers go by one name, as when old data of one that has joined
// again is started elsewhere.
func (r *Replica) reaches(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timing.Attempt/2)
	defer cancel()
	return r.reach(ctx, address) == nil
}

func (r *Replica) removeServer(id string) error {
	if !r.IsLeader() {
		return errNotLeader
	}
	voters := r.voters()
	if len(voters) == 1 && voters[0].ID == id {
		return fmt.Errorf("%w: it is the only one that votes", errRefused)
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	failpoint.Hit("replica/members/remove")
	err := r.membership(r.raft.RemoveServer(raft.ServerID(id), 0, enqueueTimeout))
	failpoint.Hit("replica/members/removed")
	return err
}

func (r *Replica) membership(future raft.IndexFuture) error {
	endWithRaft(future, r.halted)
	switch err := future.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", errNotLeader, err)
	default:
		return err
	}
}
