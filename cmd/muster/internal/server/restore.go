package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/services/apiserver/backup"
)

// aborted ends the name of a directory that is not whole.
const aborted = ".tmp"

// Restore makes the data directory of a new cluster's first server, with the state
// of a backup. All secrets are new: with the old CA, the servers of the old cluster
// would be let in, and could overwrite what was restored. The directory must not
// exist or be empty; it is there once it is whole.
func (i *Identity) Restore(file string) (*backup.Restored, error) {
	if err := i.complete(); err != nil {
		return nil, err
	}
	if err := vacant(i.DataDir); err != nil {
		return nil, err
	}
	parent := filepath.Dir(i.DataDir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory (--data-dir chooses another one): %w", err)
	}
	begin := filepath.Base(i.DataDir) + ".restore-"
	if err := sweep(parent, begin); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, begin+"*"+aborted)
	if err != nil {
		return nil, fmt.Errorf("make data directory (--data-dir chooses another one): %w", err)
	}
	defer os.RemoveAll(dir)
	failpoint.Hit("server/restore/begin")
	aside := *i
	aside.DataDir = dir
	restored, err := aside.restore(file)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("server/restore/whole")
	// This replaces an empty directory, and no other one.
	if err := os.Rename(dir, i.DataDir); err != nil {
		return nil, fmt.Errorf("put data directory into its place: %w", err)
	}
	failpoint.Hit("server/restore/renamed")
	return restored, durable.SyncDir(parent)
}

func (i *Identity) restore(file string) (*backup.Restored, error) {
	cluster, err := provision.NewCluster(i.ClusterName)
	if err != nil {
		return nil, err
	}
	restored, err := backup.Restore(file, backup.Founder{
		Name: i.Name, ClusterID: cluster.ID, DataDir: i.DataDir,
		RaftAddress: provision.Address(i.AdvertiseAddress, provision.RaftPort),
	})
	if err != nil {
		return nil, err
	}
	failpoint.Hit("server/restore/log")
	servers := []string{i.AdvertiseAddress}
	if err := cluster.WriteAdmin(i.Kubeconfig(), i.ClusterName, provision.Address(i.AdvertiseAddress, provision.RESTPort), servers); err != nil {
		return nil, err
	}
	if err := cluster.WriteServer(provision.Server{DataDir: i.DataDir, Name: i.Name, Addresses: servers, Servers: servers}); err != nil {
		return nil, err
	}
	failpoint.Hit("server/restore/identity")
	m, err := join.LoadMembership(i.DataDir)
	if err != nil {
		return nil, err
	}
	// The log is there, and names this server as its member: were it gone, no
	// empty one must take its place.
	m.Started, m.Entered = true, true
	return restored, m.Save(i.DataDir)
}

// sweep removes what restorations into the same directory left that were killed:
// there are keys in it.
func sweep(parent, begin string) error {
	all, err := os.ReadDir(parent)
	for _, e := range all {
		if strings.HasPrefix(e.Name(), begin) && strings.HasSuffix(e.Name(), aborted) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(parent, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("remove what a restoration that was interrupted has left: %w", err)
	}
	return nil
}

// vacant checks that a directory is not there or holds nothing.
func vacant(dir string) error {
	present, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("restore into data directory: %w", err)
	case len(present) > 0:
		return fmt.Errorf("restore into %s: it is not empty (it holds %s): choose another directory with --data-dir, or move it away once no server runs on it", dir, present[0].Name())
	}
	return nil
}
