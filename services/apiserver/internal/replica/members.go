package replica

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Member is one server of the cluster.
type Member struct {
	ID      string
	Address string
	Leader  bool
	Voter   bool
}

// Members lists the members that this one knows of. It does not block.
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

// member returns the one of an id, if it is known.
func (r *Replica) member(id string) (Member, bool) {
	members := r.Members()
	i := slices.IndexFunc(members, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return members[i], true
}

func (r *Replica) voters() []Member {
	return slices.DeleteFunc(r.Members(), func(m Member) bool { return !m.Voter })
}

func (r *Replica) nonvoters() []Member {
	return slices.DeleteFunc(r.Members(), func(m Member) bool { return m.Voter })
}

// IsLeader tells whether this member takes itself for the leader. It may be
// wrong for as long as the lease.
func (r *Replica) IsLeader() bool { return r.raft.State() == raft.Leader }

// Leader returns the leader that this member knows of, or nothing.
func (r *Replica) Leader() (id, address string) {
	a, i := r.raft.LeaderWithID()
	return string(i), string(a)
}

// removalGrace is how long a member waits after it read that it was removed. One
// that joined again under its old name reads of its removal first, and of its
// return soon after.
const removalGrace = time.Second

// moved hears of the members as the log tells of them, in the log's order.
func (r *Replica) moved(now raft.Configuration) {
	r.regrouped.notify()
	if r.among(now) {
		r.belonged.Store(true)
		return
	}
	if !r.belonged.Load() {
		return
	}
	time.AfterFunc(removalGrace, r.endIfRemoved)
}

// endIfRemoved ends this member unless it reads of its return, which it waits for
// as long as a leader sends it entries: a removed one gets none.
func (r *Replica) endIfRemoved() {
	latest := r.raft.GetConfiguration()
	switch {
	case latest.Error() != nil || r.among(latest.Configuration()):
	case time.Since(r.raft.LastContact()) < removalGrace:
		time.AfterFunc(removalGrace, r.endIfRemoved)
	default:
		r.fail(ErrRemoved)
	}
}

func (r *Replica) among(members raft.Configuration) bool {
	return slices.ContainsFunc(members.Servers, func(s raft.Server) bool { return s.ID == raft.ServerID(r.config.ID) })
}
