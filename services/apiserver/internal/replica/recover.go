package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Remains is what the data of a stopped member says.
type Remains struct {
	// Epoch of the cluster.
	Epoch uint64
	// Members as far as the member knew.
	Members []Member
	// LastTerm and LastIndex are those of the last log entry. Of several members,
	// the one whose term, and then index, is the highest knows the most.
	LastTerm, LastIndex uint64
	// Revision that a recovered state goes on from; 0 if it was not recovered.
	Revision uint64
}

// recoveryAhead is how many revisions a recovery skips: more than were lost, so
// that nobody who saw one of those takes what is written next for it.
const recoveryAhead = 1 << 30

// Inspect reads the data of a stopped member and changes nothing. The error is
// ErrInUse when it runs, ErrDamaged when the data cannot be read.
func Inspect(config Config) (Remains, error) {
	config.Logger = slog.New(slog.DiscardHandler)
	s, remains, err := remaining(config)
	if err != nil {
		return Remains{}, fmt.Errorf("inspect %s: %w", config.Dir, err)
	}
	return remains, s.close()
}

// Recover makes a stopped member the only one of its cluster, for when a majority
// of the others is lost for good. What only they held is lost with them. The data
// is copied to backup first, a directory that must not exist.
//
// It begins a new epoch, so that the other old members, which may be a majority
// of the old cluster, find no way back: see era. That comes before the members
// are changed. After a crash between the two the member waits for others in
// vain, and Recover is to be called again.
func Recover(config Config, backup string) (Remains, error) {
	config.Logger = slog.New(slog.DiscardHandler)
	s, remains, err := remaining(config)
	if err != nil {
		return Remains{}, fmt.Errorf("recover %s: %w", config.Dir, err)
	}
	if err := recoverAlone(config, s, &remains, backup); err != nil {
		return Remains{}, errors.Join(fmt.Errorf("recover %s: %w", config.Dir, err), s.close())
	}
	return remains, s.close()
}

func recoverAlone(config Config, s *storage, remains *Remains, backup string) error {
	var self raft.Server
	for _, m := range remains.Members {
		if m.ID == config.ID {
			self = raft.Server{ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.Address)}
		}
	}
	if self.ID == "" {
		return fmt.Errorf("member %s was no member of the cluster at the end of its log", config.ID)
	}
	failpoint.Hit("replica/recover/copy")
	if err := copyTree(backup, config.Dir); err != nil {
		return fmt.Errorf("copy the data to %s: %w", backup, err)
	}
	failpoint.Hit("replica/recover/copied")
	remains.Epoch++
	path := filepath.Join(config.Dir, identityFile)
	if err := writeIdentity(path, identity{Format: dataFormat, Cluster: config.ClusterID, Member: config.ID, Epoch: remains.Epoch}); err != nil {
		return err
	}
	failpoint.Hit("replica/recover/epoch")
	machine := &recovering{machine: newMachine(state.New(), func(error) {}, func(raft.Configuration) {}, s.logs.written)}
	_, transport := raft.NewInmemTransport(self.Address)
	defer transport.Close()
	err := raft.RecoverCluster(raftConfig(config), machine, s.logs, s.stable, s.snapshots, transport,
		raft.Configuration{Servers: []raft.Server{self}})
	if err != nil {
		return fmt.Errorf("make %s the only member: %w", config.ID, err)
	}
	failpoint.Hit("replica/recover/alone")
	remains.Revision = machine.store.View().Revision() + recoveryAhead
	return nil
}

// recovering is the machine while RecoverCluster uses it, which does not look at
// what Apply returns, and takes an older snapshot where one cannot be restored.
type recovering struct{ *machine }

// Snapshot fails when the state is not all that the member holds.
func (r *recovering) Snapshot() (raft.FSMSnapshot, error) {
	if err := errors.Join(r.restoring(), r.err); err != nil {
		return nil, err
	}
	failpoint.Hit("replica/recover/snapshot")
	return image{r.store.Image().Ahead(recoveryAhead)}, nil
}

// remaining opens a stopped member's data and reads what it says.
func remaining(config Config) (*storage, Remains, error) {
	if _, err := readIdentity(filepath.Join(config.Dir, identityFile)); err != nil {
		return nil, Remains{}, err // else opening would make a new member
	}
	s, err := openStorage(config, func(error) {})
	if err != nil {
		return nil, Remains{}, err
	}
	remains, err := read(config, s)
	if err != nil {
		_ = s.close()
		return nil, Remains{}, err
	}
	return s, remains, nil
}

func read(config Config, s *storage) (remains Remains, err error) {
	if remains.Epoch, err = epochOf(config.Dir); err != nil {
		return Remains{}, err
	}
	snapshots, err := s.snapshots.List()
	if err != nil {
		return Remains{}, err
	}
	var last raft.Configuration
	if len(snapshots) > 0 {
		remains.LastTerm, remains.LastIndex, last = snapshots[0].Term, snapshots[0].Index, snapshots[0].Configuration
	}
	first, err := s.logs.FirstIndex()
	if err != nil {
		return Remains{}, err
	}
	end, err := s.logs.LastIndex()
	if err != nil {
		return Remains{}, err
	}
	for index := first; index <= end && end > 0; index++ {
		var entry raft.Log
		if err := s.logs.GetLog(index, &entry); err != nil {
			return Remains{}, err
		}
		if index <= remains.LastIndex {
			continue
		}
		remains.LastTerm, remains.LastIndex = entry.Term, entry.Index
		if entry.Type == raft.LogConfiguration {
			last = raft.DecodeConfiguration(entry.Data)
		}
	}
	for _, m := range last.Servers {
		remains.Members = append(remains.Members, Member{ID: string(m.ID), Address: string(m.Address), Voter: m.Suffrage == raft.Voter})
	}
	return remains, nil
}

// copyTree copies a directory to a new one that only its owner reads, and that
// outlives a loss of power.
func copyTree(to, from string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	err := filepath.WalkDir(to, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return file.Sync()
	})
	return errors.Join(err, durable.SyncDir(filepath.Dir(to)))
}
