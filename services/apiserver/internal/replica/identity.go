package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
)

// dataFormat is the format of the data directory.
const dataFormat = 1

// identity says whose data a directory holds.
type identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Member  string `json:"member"`
	// Epoch is how often the cluster had been recovered.
	Epoch    uint64 `json:"epoch,omitempty"`
	Checksum uint32 `json:"checksum"`
}

func (i identity) checksum() uint32 {
	said := fmt.Appendf(nil, "%d\n%s\n%s", i.Format, i.Cluster, i.Member)
	if i.Epoch > 0 {
		said = fmt.Appendf(said, "\n%d", i.Epoch)
	}
	return crc32.Checksum(said, castagnoli)
}

// identify checks that a directory belongs to a member of a cluster, or makes it
// so if it is new.
func identify(dir string, config Config) error {
	path, cluster, member := filepath.Join(dir, identityFile), config.ClusterID, config.ID
	found, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := unused(dir); err != nil {
			return damaged(path, err)
		}
		// The mark comes first: an identity without one has lost what it had.
		if err := durable.ReplaceFile(filepath.Join(dir, markFile), nil, 0o600); err != nil {
			return fmt.Errorf("make log mark: %w", err)
		}
		failpoint.Hit("replica/start/mark-made")
		return writeIdentity(path, identity{Format: dataFormat, Cluster: cluster, Member: member, Epoch: config.Epoch})
	}
	switch {
	case err != nil:
		return err
	case found.Format != dataFormat:
		return fmt.Errorf("data directory %s: format %d was written by another version of this program, which knows format %d", dir, found.Format, dataFormat)
	case found.Cluster != cluster:
		return fmt.Errorf("%w cluster: %s holds the data of cluster %q, this server is of cluster %q; start it with that cluster's certificates, or give it another directory (moving this one away)",
			ErrForeignData, dir, found.Cluster, cluster)
	case found.Member != member:
		return fmt.Errorf("%w member: %s holds the data of member %q of cluster %q, this is member %q; start it under the old name, or give it another directory (moving this one away)",
			ErrForeignData, dir, found.Member, cluster, member)
	}
	return nil
}

func readIdentity(path string) (identity, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return identity{}, fmt.Errorf("read identity of data directory: %w", err)
	}
	var found identity
	if err := json.Unmarshal(raw, &found); err != nil {
		return identity{}, damaged(path, err)
	}
	if found.Checksum != found.checksum() {
		return identity{}, damaged(path, errors.New("it does not match its checksum"))
	}
	return found, nil
}

// epochOf returns the epoch of the cluster that a directory's data is of.
func epochOf(dir string) (uint64, error) {
	found, err := readIdentity(filepath.Join(dir, identityFile))
	return found.Epoch, err
}

// unused checks that a directory without an identity holds no more than one
// whose making was interrupted.
func unused(dir string) error {
	for _, name := range []string{logDir, snapshotsDir, markFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && (name != markFile || info.Size() > 0) {
			return fmt.Errorf("it is missing, but %s is there", name)
		}
	}
	return nil
}

func writeIdentity(path string, i identity) error {
	i.Checksum = i.checksum()
	raw, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode identity of data directory: %w", err)
	}
	if err := durable.ReplaceFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write identity of data directory: %w", err)
	}
	return nil
}
