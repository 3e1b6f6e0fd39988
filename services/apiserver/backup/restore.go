package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/internal/failpoint"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/cluster"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// A restored state's revisions begin so far ahead of the saved one's that nobody
// can have seen them: the old cluster went on after the backup was made, at a rate
// that it cannot have exceeded, until the restored one began.
const (
	marginRevisions    = 1_000_000_000
	revisionsPerSecond = 100_000
)

// Founder is the first server of the cluster that is made of a file.
type Founder struct {
	// Name of the server.
	Name string
	// ClusterID of the new cluster. It must not be that of the saved one.
	ClusterID string
	// RaftAddress at which other servers will reach it, host:port.
	RaftAddress string
	// DataDir of the server, as in apiserver.Config. It must hold no log yet.
	DataDir string
}

// Restored tells what was made.
type Restored struct {
	// Saved is what the file holds.
	Saved *Summary
	// Revision at which the new cluster begins. Objects keep theirs.
	Revision uint64
}

// Restore makes the data of a new cluster's first server. What the state holds
// about the old cluster's servers is left out. On an error it leaves the directory
// without a log.
func Restore(path string, f Founder) (*Restored, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("restore snapshot: %w", err)
	}
	defer file.Close()
	saved, err := survey(file, func(*state.Entry) {})
	if err != nil {
		return nil, fmt.Errorf("restore snapshot %s: %w", path, hint(err))
	}
	if saved.Cluster == f.ClusterID {
		return nil, fmt.Errorf("restore snapshot %s: it is of cluster %s, and so would be what is made of it", path, f.ClusterID)
	}
	if _, err := file.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("restore snapshot %s: %w", path, err)
	}
	store, err := load(file)
	if err != nil {
		return nil, fmt.Errorf("restore snapshot %s: %w", path, hint(err))
	}
	begin := store.View().Image().Begin(ahead(saved.Time, time.Now()))
	failpoint.Hit("backup/restore/read")
	log := filepath.Join(f.DataDir, "raft")
	founder := replica.Founder{ID: f.Name, ClusterID: f.ClusterID, Address: f.RaftAddress, Dir: log}
	if err := replica.Found(founder, begin); err != nil {
		_ = os.RemoveAll(log)
		return nil, fmt.Errorf("restore snapshot %s: %w", path, err)
	}
	failpoint.Hit("backup/restore/made")
	return &Restored{Saved: saved, Revision: begin.Revision()}, nil
}

// load reads a state, without what it holds about servers.
func load(from *os.File) (*state.Store, error) {
	r, err := snapshotfile.NewReader(from)
	if err != nil {
		return nil, err
	}
	store := state.New()
	if err := store.Restore(r); err != nil {
		return nil, err
	}
	view, forget := store.View(), &storev1.Transaction{}
	for _, table := range cluster.ServerTables() {
		for e := range view.List(table, "") {
			forget.Operations = append(forget.Operations, &storev1.Operation{
				Key:    &storev1.Key{Resource: e.Key.Resource, Namespace: e.Key.Namespace, Name: e.Key.Name},
				Action: storev1.Action_ACTION_DELETE,
			})
		}
	}
	store.Apply(view.Index()+1, &storev1.Command{Transactions: []*storev1.Transaction{forget}})
	return store, nil
}

// ahead tells by how much revisions move. A clock that goes wrong must not move
// them back.
func ahead(saved, now time.Time) uint64 {
	age := max(0, now.Sub(saved))
	return marginRevisions + revisionsPerSecond*uint64(age/time.Second+1)
}
