package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/musterhq/muster/internal/failpoint"
)

// rotating is the log's database. raft-wal first writes an index at the end of a
// segment, which seals it, and notes that in the database and begins the next
// one a moment later. If the process ends between the two, raft-wal takes the
// segment for one to append to and then refuses all that is appended
// ("segment is sealed"), so what is left to do is done before it looks.
type rotating struct {
	*metadb.BoltMetaDB
	segments int // that it names
}

// Load returns the state of the log, none of whose ends is sealed.
func (r *rotating) Load(dir string) (types.PersistentState, error) {
	state, err := r.BoltMetaDB.Load(dir)
	n := len(state.Segments)
	r.segments = n
	if err != nil || n == 0 || !state.Segments[n-1].SealTime.IsZero() {
		return state, err
	}
	tail := &state.Segments[n-1]
	sealed, err := finishSeal(dir, tail)
	if err != nil || !sealed {
		return state, err
	}
	next := types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: tail.MaxIndex + 1, MinIndex: tail.MaxIndex + 1,
		SizeLimit: tail.SizeLimit, Codec: tail.Codec, CreateTime: time.Now(),
	}
	state.NextSegmentID++
	state.Segments = append(state.Segments, next) // raft-wal makes the file
	failpoint.Hit("replica/start/rotate")
	err = r.CommitState(state)
	failpoint.Hit("replica/start/rotated")
	return state, err
}

// CommitState notes which segments there are.
func (r *rotating) CommitState(state types.PersistentState) error {
	if n := len(state.Segments); n > 1 && n > r.segments {
		failpoint.Hit("replica/segment/sealed")
	}
	failpoint.Hit("replica/segment/note")
	if err := r.BoltMetaDB.CommitState(state); err != nil {
		return err
	}
	r.segments = len(state.Segments)
	return nil
}

// finishSeal describes the last segment as sealed if it has an index, and
// removes an index that was not written to its end.
func finishSeal(dir string, tail *types.SegmentInfo) (sealed bool, err error) {
	w, err := newSegments(dir).RecoverTail(*tail)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // raft-wal makes it
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = w.Close() }()
	sealed, start, err := w.Sealed()
	if err != nil || !sealed {
		return false, err
	}
	file, err := os.OpenFile(filepath.Join(dir, segment.FileName(*tail)), os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	if sealed, err = indexed(file, start, *tail, w); err != nil {
		return false, err
	}
	if !sealed {
		return false, errors.Join(zero(file, int64(start)-frameHeader), file.Sync())
	}
	tail.SealTime, tail.MaxIndex, tail.IndexStart = time.Now(), w.LastIndex(), start
	return true, file.Sync()
}

// frameHeader is the length of what precedes the index; it ends with the
// index's own length.
const frameHeader = 8

// indexed tells whether an index has the place of each entry and nothing else.
func indexed(file io.ReaderAt, start uint64, tail types.SegmentInfo, w types.SegmentWriter) (bool, error) {
	entries, ok := w.(interface {
		OffsetForFrame(index uint64) (uint32, error)
	})
	if !ok {
		return false, fmt.Errorf("raft-wal's segments are read by %T", w)
	}
	var size [4]byte
	if _, err := file.ReadAt(size[:], int64(start)-4); err != nil {
		return false, err
	}
	last := w.LastIndex()
	if last == 0 || uint64(binary.LittleEndian.Uint32(size[:])) != 4*(last-tail.BaseIndex+1) {
		return false, nil
	}
	index := make([]byte, binary.LittleEndian.Uint32(size[:]))
	if _, err := file.ReadAt(index, int64(start)); err != nil {
		return false, ignoreEOF(err)
	}
	for i := tail.MinIndex; i <= last; i++ {
		offset, err := entries.OffsetForFrame(i)
		if err != nil {
			return false, err
		}
		if binary.LittleEndian.Uint32(index[4*(i-tail.BaseIndex):]) != offset {
			return false, nil
		}
	}
	return true, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// zero makes all that follows an offset zero.
func zero(file *os.File, offset int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(offset), file.Truncate(info.Size()))
}
