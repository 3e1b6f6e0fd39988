package replica

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
)

// segments is the file system that raft-wal keeps its segments on: the real one,
// with points at which a test can end the process.
type segments struct{ *walfs.FS }

func newSegments(dir string) *segment.Filer { return segment.NewFiler(dir, segments{walfs.New()}) }

// Create makes a segment, with all the room that it will take if there is so much.
func (s segments) Create(dir, name string, size uint64) (types.WritableFile, error) {
	failpoint.Hit("replica/segment/noted")
	file, err := s.FS.Create(dir, name, size)
	if noRoom(err) {
		// raft-wal cannot try again. So the segment is made without its room, and
		// it is the appends that find none, which can be tried again.
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		file, err = s.FS.Create(dir, name, 0)
	}
	if err != nil {
		return nil, err
	}
	failpoint.Hit("replica/segment/made")
	return write(file, false)
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
	return write(file, true)
}

// Delete removes a segment.
func (s segments) Delete(dir, name string) error {
	failpoint.Hit("replica/segment/remove")
	err := s.FS.Delete(dir, name)
	failpoint.Hit("replica/segment/removed")
	return err
}

// segmentFile is what raft-wal's file system makes segments of.
type segmentFile interface {
	types.WritableFile
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
	Fd() uintptr
}

// written is a segment that is appended to. raft-wal writes each batch by one
// call, and syncs it by the next.
type written struct {
	segmentFile
	// torn says that a batch may stand behind the last one, of which a crash took
	// the end.
	torn  bool
	blank blank
}

func write(file types.WritableFile, torn bool) (*written, error) {
	segment, ok := file.(segmentFile)
	if !ok {
		return nil, errors.Join(fmt.Errorf("segments are kept in a %T", file), file.Close())
	}
	info, err := segment.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &written{segmentFile: segment, torn: torn, blank: blank{room: info.Size()}}, nil
}

// WriteAt writes a batch.
func (w *written) WriteAt(p []byte, offset int64) (int, error) {
	if w.torn {
		if err := w.clear(offset); err != nil {
			return 0, fmt.Errorf("%w: %w", errUnsure, err)
		}
		w.torn = false
	}
	if err := w.blank.reach(w.segmentFile, offset, offset+int64(len(p))); err != nil {
		return 0, err // What it wrote changed nothing.
	}
	failpoint.Hit("replica/log/write")
	if failpoint.Armed("replica/log/half-written") {
		_, _ = w.segmentFile.WriteAt(p[:len(p)/2], offset)
	}
	failpoint.Hit("replica/log/half-written")
	n, err := w.segmentFile.WriteAt(p, offset)
	failpoint.Hit("replica/log/written")
	if err != nil && !errors.Is(err, io.EOF) {
		if undone := w.clear(offset); undone != nil {
			return n, fmt.Errorf("%w: %w; %w", errUnsure, err, undone)
		}
		return n, err
	}
	return n, err
}

// clear removes what was written of a batch, which a shorter one would leave the
// end of. Entries are what users write, so that may look like anything, like
// entries too.
func (w *written) clear(offset int64) error {
	info, err := w.Stat()
	if err != nil || info.Size() <= offset {
		return err
	}
	if err := w.Truncate(offset); err != nil {
		return err
	}
	// The room is taken again, if it is there.
	w.blank = blank{}
	if unix.Fallocate(int(w.Fd()), 0, 0, info.Size()) == nil {
		w.blank.room = info.Size()
	}
	return nil
}

// errUnsure says that a batch may be on disk, whole or in part, or not. When a sync
// has failed, the kernel may take for written what is not, so that another one
// says nothing either.
var errUnsure = errors.New("not known to be on disk or not")

// Sync has a batch on disk.
func (w *written) Sync() error {
	if err := w.segmentFile.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errUnsure, err)
	}
	failpoint.Hit("replica/log/synced")
	return nil
}
