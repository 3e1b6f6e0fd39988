package replica

import (
	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
)

// What Raft calls its term, and that of its last vote, among the stable values.
const (
	termKey = "CurrentTerm"
	voteKey = "LastVoteTerm"
)

// form makes a cluster of this member alone, unless it has data already.
func (r *Replica) form(rc *raft.Config) error {
	s := r.storage
	exists, err := raft.HasExistingState(s.logs, s.stable, s.snapshots)
	if err != nil {
		return err
	}
	if exists {
		if begun, err := s.halfFormed(); err != nil || !begun {
			return err
		}
		if err := s.stable.SetUint64([]byte(termKey), 0); err != nil {
			return err
		}
	}
	failpoint.Hit("replica/start/form")
	self := raft.Server{ID: rc.LocalID, Address: raft.ServerAddress(r.config.Advertise)}
	err = raft.BootstrapCluster(rc, s.logs, s.stable, s.snapshots, r.transport, raft.Configuration{Servers: []raft.Server{self}})
	failpoint.Hit("replica/start/formed")
	return err
}

// halfFormed tells whether a process ended while it formed a cluster. Raft stores
// the first term, and then the entry that names the member; with the one and
// without the other it takes the member for one that has data, which then waits
// for others for good. In the first term nobody has voted: there was nobody yet.
func (s *storage) halfFormed() (bool, error) {
	last, err := s.logs.LastIndex()
	if err != nil || last > 0 {
		return false, err
	}
	snapshots, err := s.snapshots.List()
	if err != nil || len(snapshots) > 0 {
		return false, err
	}
	term, err := s.stable.GetUint64([]byte(termKey))
	return term == 1, err
}
