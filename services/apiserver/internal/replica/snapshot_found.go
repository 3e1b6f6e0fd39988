package replica

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Founder is the first member of a cluster that begins with a state.
type Founder struct {
	// ID of the member.
	ID string
	// ClusterID of the cluster, which must be new: members of the one that the
	// state comes from take this member for one of theirs otherwise.
	ClusterID string
	// Address at which others will reach the member, host:port.
	Address string
	// Dir will hold the log and the snapshots. It must not exist.
	Dir string
}

// Found makes the data directory of a founder. The state is the snapshot that its
// log begins with, so it must be at index 1 (see Image.Begin).
func Found(f Founder, begin *state.Image) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make data directory %s: %w", f.Dir, err)
		}
	}()
	config := Config{ID: f.ID, ClusterID: f.ClusterID, Dir: f.Dir, Logger: slog.New(slog.DiscardHandler)}
	s, err := openStorage(config, func(error) {}) // the snapshot tells of damage itself
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if exists, err := raft.HasExistingState(s.logs, s.stable, s.snapshots); err != nil || exists {
		return errors.Join(err, errors.New("it holds data already"))
	}
	// As if the cluster had been formed in term 1 by an entry that brought all of
	// the state.
	if err := s.stable.SetUint64([]byte(termKey), 1); err != nil {
		return err
	}
	members := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(f.ID), Address: raft.ServerAddress(f.Address)}}}
	sink, err := s.snapshots.Create(raft.SnapshotVersionMax, begin.Index(), 1, members, begin.Index(), nil)
	if err != nil {
		return err
	}
	return image{begin}.Persist(sink)
}
