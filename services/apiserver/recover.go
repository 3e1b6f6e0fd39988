package apiserver

import (
	"path/filepath"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// Stopped names a server that does not run.
type Stopped struct {
	Name, ClusterID, DataDir string
}

// Remains is what the data of a stopped server says.
type Remains = replica.Remains

func (s Stopped) config() replica.Config {
	return replica.Config{ID: s.Name, ClusterID: s.ClusterID, Dir: filepath.Join(s.DataDir, "raft")}
}

// Inspect reads the data of a stopped server and changes nothing. It fails when
// the server runs, or the data is damaged.
func (s Stopped) Inspect() (Remains, error) { return replica.Inspect(s.config()) }

// Recover makes a stopped server the only member of its cluster, in a new epoch,
// after it copied the data to a new directory, backup.
func (s Stopped) Recover(backup string) (Remains, error) { return replica.Recover(s.config(), backup) }

// Epoch is how often the cluster had been recovered from the loss of its
// majority.
func (s *Server) Epoch() uint64 { return s.replica.Epoch() }

// RaftAddresses are those of the members that this server's log names, host:port.
func (s *Server) RaftAddresses() []string {
	var addresses []string
	for _, m := range s.replica.Members() {
		addresses = append(addresses, m.Address)
	}
	return addresses
}
