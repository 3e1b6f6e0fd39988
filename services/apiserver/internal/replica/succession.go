package replica

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// settleTime is how long a follower's log must not have grown before what its
	// leader sent last counts as arrived: some writes to a disk.
	settleTime = 5 * time.Millisecond
	// lookTries is how often a member is dialed whose port is being closed.
	lookTries = 3
	// turnShare is the part of Timing.Heartbeat that one heir leaves to the one
	// before it: some times what an election takes.
	turnShare = 3
)

// succession has a follower stand for election when the process of its leader has
// ended, long before it would miss the leader's heartbeats. The kernel says so: it
// closes the connections of a process that ends, however it ends, and refuses new
// ones to its port. A leader that is silent, cut off or whose machine is gone
// refuses nothing, and is waited for.
//
// Raft decides as ever: who stands asks for votes in the next term, and gets those
// of members whose logs hold no more than its own. A refusal that lies, as of a
// firewall, costs one election, since whoever stands moves on to another term.
type succession struct {
	replica *Replica
	ended   chan struct{} // a connection on which Raft's messages came has ended
}

// reign is a leader and its term, as far as this member knows.
type reign struct {
	id, address string
	term        uint64
}

func newSuccession(r *Replica) *succession {
	return &succession{replica: r, ended: make(chan struct{}, 1)}
}

// look has it look at the leader now. It does not block.
func (s *succession) look() {
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

func (s *succession) run(ctx context.Context) error {
	for {
		select {
		case <-s.ended:
			s.succeed(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// succeed stands for election if the leader's process has ended, when it is this
// member's turn and nobody else has taken over or may do so.
func (s *succession) succeed(ctx context.Context) {
	r := s.replica
	last := s.reign()
	line := s.line(last)
	turn := slices.IndexFunc(line, func(m Member) bool { return m.ID == r.config.ID })
	if turn < 0 || last.id == "" || r.raft.State() != raft.Follower || !s.gone(ctx, last.address) {
		return
	}
	s.settle(ctx)
	sleep(ctx, time.Duration(turn)*r.config.Timing.Heartbeat/turnShare)
	if s.preceded(ctx, line[:turn]) || ctx.Err() != nil || !s.open(last) {
		return
	}
	r.config.Logger.Info("the leader's process has ended; standing for election", "leader", last.id, "term", last.term)
	if err := s.stand(); err != nil {
		r.config.Logger.Warn("stand for election", "error", err)
	}
}

func (s *succession) reign() reign {
	id, address := s.replica.Leader()
	return reign{id: id, address: address, term: s.replica.raft.CurrentTerm()}
}

// line is the voters that a leader leaves behind, in the order of their turns: if
// two stood at once, each would have its own vote.
func (s *succession) line(of reign) []Member {
	line := slices.DeleteFunc(s.replica.voters(), func(m Member) bool { return m.ID == of.id })
	slices.SortFunc(line, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return line
}

// preceded tells whether an heir whose turn was earlier may win yet: it lives, and
// lacks nothing that this member has. One that does not say may be slow.
func (s *succession) preceded(ctx context.Context, earlier []Member) bool {
	ctx, cancel := context.WithTimeout(ctx, s.replica.config.Timing.Heartbeat)
	defer cancel()
	return slices.ContainsFunc(earlier, func(m Member) bool {
		if s.gone(ctx, m.Address) {
			return false
		}
		status := s.replica.statusOf(ctx, m)
		return status == nil || status.GetLastIndex() >= s.replica.raft.LastIndex()
	})
}

// gone tells whether nobody listens any more where a member was, while the kernel
// there lives: no other error proves anything.
func (s *succession) gone(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.replica.config.Timing.Heartbeat)
	defer cancel()
	for range lookTries {
		err := s.replica.reach(ctx, address)
		if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			return err != nil
		}
		sleep(ctx, settleTime)
	}
	return false
}

// settle waits until what the leader sent last is in the log: who stands with less
// than the others have only keeps them from it.
func (s *succession) settle(ctx context.Context) {
	raft := s.replica.raft
	for last := uint64(0); last != raft.LastIndex() && ctx.Err() == nil; sleep(ctx, settleTime) {
		last = raft.LastIndex()
	}
}

// open tells whether a leader has no successor yet, and this member has not voted
// for one who may win.
func (s *succession) open(last reign) bool {
	voted, err := s.replica.storage.stable.GetUint64([]byte(voteKey))
	return s.replica.raft.State() == raft.Follower && err == nil && s.reign().vacant(last, voted)
}

// vacant tells by what is now, and the term of this member's last vote, whether
// nobody leads after a leader. A candidate that was refused has less of the log.
func (now reign) vacant(after reign, voted uint64) bool {
	return now == after || now.id == "" && voted < now.term
}

// stand has Raft begin an election by the message with which a leader makes another
// member its successor: members vote although they know a leader.
func (s *succession) stand() error {
	r := s.replica
	id, address := raft.ServerID(r.config.ID), raft.ServerAddress(r.config.Advertise)
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(address)}
	return r.transport.TimeoutNow(id, address, &raft.TimeoutNowRequest{RPCHeader: header}, &raft.TimeoutNowResponse{})
}
