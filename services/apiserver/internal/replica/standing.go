package replica

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// askTimeout bounds what a member may take to say how it is.
	askTimeout = 500 * time.Millisecond
	// leaderless is how long a member may not have heard from its leader.
	leaderless = time.Second
)

// Standings asks every member how it is, and returns what is known of each: all
// but its other addresses and its version. It takes half a second when one does
// not answer.
func (r *Replica) Standings(ctx context.Context) []*clusterv1.Member {
	members := r.Members()
	return standings(members, r.ask(ctx, members))
}

// standings words the answers of members, nil for those who gave none.
func standings(members []Member, found map[string]*clusterv1.StatusResponse) []*clusterv1.Member {
	var leader *clusterv1.StatusResponse
	for _, m := range members {
		if m.Leader {
			leader = found[m.ID]
		}
	}
	var out []*clusterv1.Member
	for _, m := range members {
		status := found[m.ID]
		s := &clusterv1.Member{Id: m.ID, RaftAddress: m.Address, Leader: m.Leader, Voter: m.Voter, LastContact: status.GetLastContact()}
		if status != nil && leader != nil {
			s.Lag = proto.Uint64(leader.GetCommitIndex() - min(leader.GetCommitIndex(), status.GetAppliedIndex()))
		}
		switch {
		case status == nil:
			s.State = clusterv1.MemberState_MEMBER_STATE_UNREACHABLE
			s.LastContact = leader.GetSilent()[m.ID]
		case status.GetDiskFull():
			s.State = clusterv1.MemberState_MEMBER_STATE_DISK_FULL
		case status.GetLeads():
			s.State = clusterv1.MemberState_MEMBER_STATE_HEALTHY
		case status.GetLastContact() == nil || status.GetLastContact().AsDuration() > leaderless:
			s.State = clusterv1.MemberState_MEMBER_STATE_LEADERLESS
		case s.GetLag() > lagMax:
			s.State = clusterv1.MemberState_MEMBER_STATE_CATCHING_UP
		default:
			s.State = clusterv1.MemberState_MEMBER_STATE_HEALTHY
		}
		out = append(out, s)
	}
	return out
}

// ask returns what each of some members says of itself, nil for one that does
// not answer.
func (r *Replica) ask(ctx context.Context, members []Member) map[string]*clusterv1.StatusResponse {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	found := make(map[string]*clusterv1.StatusResponse, len(members))
	for _, m := range members {
		asking.Go(func() {
			status := r.statusOf(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			found[m.ID] = status
		})
	}
	asking.Wait()
	return found
}

func (r *Replica) statusOf(ctx context.Context, m Member) *clusterv1.StatusResponse {
	if m.ID == r.config.ID {
		return r.status()
	}
	client, err := r.peers.client(m.Address)
	if err != nil {
		return nil
	}
	status, err := client.Status(ctx, &clusterv1.StatusRequest{})
	if err != nil {
		return nil
	}
	return status
}

// status is what this member knows of itself.
func (r *Replica) status() *clusterv1.StatusResponse {
	s := &clusterv1.StatusResponse{
		Term: r.raft.CurrentTerm(), LastIndex: r.raft.LastIndex(), CommitIndex: r.raft.CommitIndex(), AppliedIndex: r.raft.AppliedIndex(),
		Leads: r.IsLeader(), NonVoter: r.config.NonVoter, DiskFull: r.room.full.Load(),
	}
	if s.GetLeads() {
		s.Silent = r.contacts.silences()
	} else if contact := r.raft.LastContact(); !contact.IsZero() {
		s.LastContact = durationpb.New(time.Since(contact))
	}
	return s
}

// Silent returns for how long members have not answered this one, by id; it
// knows of them only while it leads.
func (r *Replica) Silent() map[string]time.Duration {
	out := map[string]time.Duration{}
	for id, silence := range r.contacts.silences() {
		out[id] = silence.AsDuration()
	}
	return out
}

// contacts are the members that do not answer the leader, since when.
type contacts struct {
	raft     *raft.Raft
	observer *raft.Observer

	mu    sync.Mutex
	since map[raft.ServerID]time.Time
}

func newContacts(r *raft.Raft) *contacts {
	c := &contacts{raft: r, since: map[raft.ServerID]time.Time{}}
	// The filter sees everything; what goes through a channel may be dropped.
	c.observer = raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		c.note(o.Data)
		return false
	})
	r.RegisterObserver(c.observer)
	return c
}

func (c *contacts) close() { c.raft.DeregisterObserver(c.observer) }

func (c *contacts) note(what any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o := what.(type) {
	case raft.FailedHeartbeatObservation:
		c.since[o.PeerID] = o.LastContact
	case raft.ResumedHeartbeatObservation:
		delete(c.since, o.PeerID)
	case raft.PeerObservation:
		delete(c.since, o.Peer.ID)
	case raft.RaftState:
		clear(c.since)
	}
}

func (c *contacts) silences() map[string]*durationpb.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*durationpb.Duration{}
	for id, since := range c.since {
		out[string(id)] = durationpb.New(time.Since(since))
	}
	return out
}
