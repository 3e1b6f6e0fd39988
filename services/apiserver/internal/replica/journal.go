package replica

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"github.com/musterhq/muster/internal/failpoint"
)

// journal is the log on disk with a checksum for each entry and a mark of how far it
// reached, so that entries that vanish from its end are missed. raft-wal takes a
// damaged end for a write that a crash interrupted, and forgets it without a word.
type journal struct {
	*wal.WAL
	codec *logCodec
	stall *stall
	mark  *mark
	path  string
	fail  func(error)
	// disowned is set from when entries were cut from the end until others were
	// appended. Raft knows of the cut only then.
	disowned bool
}

// GetLog reads an entry. Raft would panic on one that cannot be read; instead
// the member is told to stop, and the goroutine that cannot go on ends.
func (j *journal) GetLog(index uint64, log *raft.Log) error {
	err := j.read(index, log)
	switch {
	case err == nil, errors.Is(err, wal.ErrClosed):
		return err
	case errors.Is(err, raft.ErrLogNotFound):
		return raft.ErrLogNotFound // Raft sends a snapshot then, but knows the bare error only
	}
	j.fail(err)
	runtime.Goexit()
	return nil
}

func (j *journal) read(index uint64, log *raft.Log) error {
	if err := j.WAL.GetLog(index, log); err != nil {
		return fmt.Errorf("read log entry %d: %w", index, err)
	}
	if err := unseal(log); err != nil {
		return fmt.Errorf("read log entry %d: %w", index, err)
	}
	if log.Index != index {
		return fmt.Errorf("%w: log entry %d stands where %d should", ErrDamaged, log.Index, index)
	}
	return nil
}

// StoreLog appends an entry.
func (j *journal) StoreLog(log *raft.Log) error { return j.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries, and moves the mark once they are safe.
func (j *journal) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	sealed := make([]*raft.Log, len(logs))
	for i, log := range logs {
		sealed[i] = seal(log)
	}
	defer j.stall.begin()()
	if err := failpoint.Write("replica/log/append", j.path); err != nil {
		return err
	}
	defer j.codec.reuse()
	if err := j.WAL.StoreLogs(sealed); err != nil {
		return j.refused(err)
	}
	failpoint.Hit("replica/log/appended")
	if err := j.mark.set(logs[len(logs)-1].Index, false); err != nil {
		j.fail(err) // Raft takes it that the entries are not in the log
		return err
	}
	j.disowned = false
	failpoint.Hit("replica/log/marked")
	return nil
}

// refused says what an append that failed means. Nothing of one that found no room
// is in the log, and the next one may find some. Of any other it cannot be known
// what is on the disk, and so the member ends.
func (j *journal) refused(err error) error {
	switch {
	case errors.Is(err, wal.ErrClosed):
		return err
	case noRoom(err) && !errors.Is(err, errUnsure) && !j.disowned:
		return fmt.Errorf("%w: append to log %s: %w; free space there, and writes go on by themselves", ErrDiskFull, j.path, err)
	}
	err = fmt.Errorf("append to log %s: %w", j.path, err)
	j.fail(err)
	return err
}

// DeleteRange removes entries from one of the ends. The mark goes back before
// the entries do, and safely, or a crash between would look like damage.
func (j *journal) DeleteRange(min, max uint64) error {
	first, err := j.FirstIndex()
	if err != nil {
		return err
	}
	last, err := j.LastIndex()
	if err != nil {
		return err
	}
	switch {
	case max < last:
		return j.cut(min, max)
	case min <= first:
		return j.empty(min, max)
	default:
		return j.disown(min, max)
	}
}

// cut removes entries that a snapshot holds.
func (j *journal) cut(min, max uint64) error {
	failpoint.Hit("replica/cut/begin")
	err := j.WAL.DeleteRange(min, max)
	failpoint.Hit("replica/cut/done")
	return err
}

// empty removes all entries, as when a leader's snapshot replaces them.
func (j *journal) empty(min, max uint64) error {
	failpoint.Hit("replica/empty/begin")
	if err := j.mark.set(0, true); err != nil {
		return err
	}
	failpoint.Hit("replica/empty/marked")
	err := j.removed(j.WAL.DeleteRange(min, max))
	failpoint.Hit("replica/empty/done")
	return err
}

// removed ends the member when entries could not be removed from the end: raft-wal
// may have noted on disk that they are gone, and hold on to them in memory. What it
// appended to them then would not be there after a start.
func (j *journal) removed(err error) error {
	if err != nil && !errors.Is(err, wal.ErrClosed) {
		err = fmt.Errorf("remove entries from log %s: %w", j.path, err)
		j.fail(err)
	}
	return err
}

// outrun removes all entries if a snapshot reaches further than the last of them. A
// process may end after it took in a leader's snapshot and before the log made
// way for it: Raft would then go on behind the snapshot, and the log, which must
// have no gap, refuse that.
func (j *journal) outrun(snapshot uint64) error {
	first, err := j.FirstIndex()
	if err != nil {
		return err
	}
	last, err := j.LastIndex()
	if err != nil || last == 0 || last >= snapshot {
		return err
	}
	return j.empty(first, last)
}

// disown removes entries that were not committed and that the leader does not
// have.
func (j *journal) disown(min, max uint64) error {
	failpoint.Hit("replica/conflict/begin")
	if err := j.mark.set(min-1, true); err != nil {
		return err
	}
	failpoint.Hit("replica/conflict/marked")
	j.disowned = true
	err := j.removed(j.WAL.DeleteRange(min, max))
	failpoint.Hit("replica/conflict/done")
	return err
}
