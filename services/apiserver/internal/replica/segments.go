package replica

import (
	"errors"
	"os"
	"path/filepath"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
)

// segments is the file system that raft-wal keeps its segments on: the real one,
// with points at which a test can end the process.
type segments struct{ *walfs.FS }

func newSegments(dir string) *segment.Filer { return segment.NewFiler(dir, segments{walfs.New()}) }

// Create makes a segment. Of one that there is no room for nothing stays, or it
// could not be made when there is room again.
func (s segments) Create(dir, name string, size uint64) (types.WritableFile, error) {
	failpoint.Hit("replica/segment/noted")
	file, err := s.FS.Create(dir, name, size)
	if err != nil {
		if !errors.Is(err, os.ErrExist) {
			_ = os.Remove(filepath.Join(dir, name))
		}
		return nil, err
	}
	failpoint.Hit("replica/segment/made")
	return written{file}, nil
}

// OpenWriter opens a segment that is appended to. A process that made it may have
// ended before it had its name on disk, and nobody would see to that any more.
func (s segments) OpenWriter(dir, name string) (types.WritableFile, error) {
	file, err := s.FS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	if err := durable.SyncDir(dir); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return written{file}, nil
}

// Delete removes a segment.
func (s segments) Delete(dir, name string) error {
	failpoint.Hit("replica/segment/remove")
	err := s.FS.Delete(dir, name)
	failpoint.Hit("replica/segment/removed")
	return err
}

// written is a segment that is appended to. raft-wal writes each batch by one
// call, and syncs it by the next.
type written struct{ types.WritableFile }

// WriteAt writes a batch.
func (w written) WriteAt(p []byte, offset int64) (int, error) {
	failpoint.Hit("replica/log/write")
	if failpoint.Armed("replica/log/half-written") {
		_, _ = w.WritableFile.WriteAt(p[:len(p)/2], offset)
	}
	failpoint.Hit("replica/log/half-written")
	n, err := w.WritableFile.WriteAt(p, offset)
	failpoint.Hit("replica/log/written")
	return n, err
}

// Sync has a batch on disk.
func (w written) Sync() error {
	err := w.WritableFile.Sync()
	failpoint.Hit("replica/log/synced")
	return err
}
