// Package backup keeps the state of a cluster in a file, tells what such a file
// holds, and makes of it the data of a new cluster's first server.
package backup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Summary tells what a file holds, all of which was read and checked.
type Summary struct {
	// Cluster whose state it is, by its ID, and Server that wrote it; empty for a
	// snapshot out of a server's data directory.
	Cluster, Server string
	// Time at which the state was taken, by the server's clock.
	Time time.Time
	// Revision of the state, and Index of the last log entry that it holds.
	Revision, Index uint64
	// Resources of the state, ordered by name. Those that begin with "_" are
	// internal tables.
	Resources []Resource
	// Size of the file, in bytes, and SHA256 of it, in hex.
	Size   int64
	SHA256 string
}

// Resource is a kind of objects.
type Resource struct {
	// Name as in a path of the API, with the group behind a dot.
	Name string
	// Objects of the kind, and Bytes of all of them as they are stored.
	Objects int
	Bytes   int64
}

// Objects counts the objects of all resources, but not what is internal.
func (s *Summary) Objects() (n int) {
	for _, r := range s.Resources {
		if r.Name[0] != '_' {
			n += r.Objects
		}
	}
	return n
}

// Inspect reads a file to its end.
func Inspect(path string) (*Summary, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("inspect snapshot: %w", err)
	}
	defer file.Close()
	summary, err := survey(file, func(*state.Entry) {})
	if err != nil {
		return nil, fmt.Errorf("inspect snapshot %s: %w", path, hint(err))
	}
	return summary, nil
}

// Save writes a file, readable by its owner only, of the parts that next returns
// until io.EOF. It reads what it writes, and puts the file into its place only
// once all of it was found to be right and is safe on disk.
func Save(path string, next func() ([]byte, error)) (summary *Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save snapshot to %s: %w", path, err)
		}
	}()
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // of mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	failpoint.Hit("backup/save/begin")
	summary, err = survey(io.TeeReader(&received{next: next}, file), func(*state.Entry) {})
	failpoint.Hit("backup/save/written")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	failpoint.Hit("backup/save/synced")
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, err
	}
	failpoint.Hit("backup/save/renamed")
	return summary, durable.SyncDir(filepath.Dir(path))
}

// received reads a stream of parts.
type received struct {
	next func() ([]byte, error)
	rest []byte
}

// Read returns what the next part holds.
func (r *received) Read(p []byte) (n int, err error) {
	for len(r.rest) == 0 {
		if r.rest, err = r.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// survey reads a file to its end and calls visit for each entry. What it visits
// counts for nothing unless it returns no error.
func survey(from io.Reader, visit func(*state.Entry)) (*Summary, error) {
	whole := sha256.New()
	size := new(counter)
	r, err := snapshotfile.NewReader(io.TeeReader(from, io.MultiWriter(whole, size)))
	if err != nil {
		return nil, err
	}
	resources := map[string]*Resource{}
	revision, index, err := state.Scan(r, func(e *state.Entry) {
		resource, ok := resources[e.Key.Resource]
		if !ok {
			resource = &Resource{Name: e.Key.Resource}
			resources[e.Key.Resource] = resource
		}
		resource.Objects++
		resource.Bytes += int64(e.Size())
		visit(e)
	})
	if err != nil {
		return nil, err
	}
	header := r.Header()
	s := &Summary{
		Cluster: header.Cluster, Server: header.Server, Time: header.Time, Revision: revision, Index: index,
		Size: int64(*size), SHA256: hex.EncodeToString(whole.Sum(nil)),
	}
	for _, resource := range slices.SortedFunc(maps.Values(resources), func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) }) {
		s.Resources = append(s.Resources, *resource)
	}
	return s, nil
}

// counter counts the bytes that are written to it.
type counter int64

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// hint says what to do about a damaged file.
func hint(err error) error {
	if errors.Is(err, snapshotfile.ErrDamaged) {
		return fmt.Errorf("%w; it is not what was saved: fetch it again from where it came, or take another one", err)
	}
	return err
}
