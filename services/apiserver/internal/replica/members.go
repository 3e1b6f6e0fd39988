package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// errRefused is what trying again does not help against.
var errRefused = errors.New("change of members refused")

// Member is one server of the cluster.
type Member struct {
	ID      string
	Address string
	Leader  bool
	Voter   bool
}

// Members lists the members that this one knows of.
func (r *Replica) Members() []Member {
	future := r.raft.GetConfiguration()
	if future.Error() != nil {
		return nil
	}
	_, leader := r.raft.LeaderWithID()
	var members []Member
	for _, s := range future.Configuration().Servers {
		members = append(members, Member{
			ID:      string(s.ID),
			Address: string(s.Address),
			Leader:  s.ID == leader,
			Voter:   s.Suffrage == raft.Voter,
		})
	}
	return members
}

func (r *Replica) voters() []Member {
	var voters []Member
	for _, m := range r.Members() {
		if m.Voter {
			voters = append(voters, m)
		}
	}
	return voters
}

// IsLeader tells whether this member takes itself for the leader. It may be
// wrong for as long as the lease.
func (r *Replica) IsLeader() bool { return r.raft.State() == raft.Leader }

// Leader returns the leader that this member knows of, or nothing.
func (r *Replica) Leader() (id, address string) {
	a, i := r.raft.LeaderWithID()
	return string(i), string(a)
}

// AddVoter adds a member, which must be running and reachable, or changes the
// address of one. It tries until ctx ends.
func (r *Replica) AddVoter(ctx context.Context, id, address string) error {
	err := r.viaLeader(ctx,
		func(ctx context.Context) error { return r.addVoter(ctx, id, address) },
		func(ctx context.Context, leader clusterv1.ReplicaServiceClient) error {
			_, err := leader.AddMember(ctx, &clusterv1.AddMemberRequest{Id: id, Address: address})
			return err
		})
	if err != nil {
		return fmt.Errorf("add member %s at %s: %w", id, address, err)
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
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		pause(ctx, changed)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w: %w", ErrNoLeader, err, context.Cause(ctx))
		}
	}
}

// addVoter is for the leader. A voter that nobody can reach would count for the
// majority all the same, and could cost the cluster its only one; so it is
// called first.
func (r *Replica) addVoter(ctx context.Context, id, address string) error {
	if !r.IsLeader() {
		return errNotLeader
	}
	for _, m := range r.Members() {
		switch {
		case m.ID == id && m.Address == address && m.Voter:
			return nil
		case m.ID != id && m.Address == address:
			return fmt.Errorf("%w: %s is the address of member %s", errRefused, address, m.ID)
		case m.ID == id && m.Address != address && r.reaches(ctx, m.Address):
			return fmt.Errorf("%w: member %s answers at %s: if that is the server that is to move to %s, have it keep its address; else choose another name and data directory for one of the two",
				errRefused, id, m.Address, address)
		}
	}
	if id == "" || address == "" {
		return fmt.Errorf("%w: a member needs an id and an address", errRefused)
	}
	if err := r.reach(ctx, address); err != nil {
		return fmt.Errorf("%w: the new member cannot be reached: %w", errRefused, err)
	}
	return membership(r.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout))
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
		return fmt.Errorf("%w: it is the only member", errRefused)
	}
	return membership(r.raft.RemoveServer(raft.ServerID(id), 0, enqueueTimeout))
}

func membership(future raft.IndexFuture) error {
	switch err := future.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", errNotLeader, err)
	default:
		return err
	}
}

// removalGrace is how long a member waits after it read that it was removed. One
// that joined again under its old name reads of its removal first, and of its
// return soon after.
const removalGrace = time.Second

// moved hears of the members as the log tells of them, in the log's order.
func (r *Replica) moved(now raft.Configuration) {
	if r.among(now) {
		r.belonged.Store(true)
		return
	}
	if !r.belonged.Load() {
		return
	}
	time.AfterFunc(removalGrace, func() {
		latest := r.raft.GetConfiguration()
		if latest.Error() == nil && !r.among(latest.Configuration()) {
			r.fail(ErrRemoved)
		}
	})
}

func (r *Replica) among(members raft.Configuration) bool {
	return slices.ContainsFunc(members.Servers, func(s raft.Server) bool { return s.ID == raft.ServerID(r.config.ID) })
}
