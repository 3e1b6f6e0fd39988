package replica

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
)

// Names within the data directory.
const (
	identityFile = "member.json"
	lockFile     = "lock"
	markFile     = "log.mark"
	logDir       = "log"
	snapshotsDir = "snapshots"
)

// storage is where a member keeps its log and snapshots.
type storage struct {
	logs      *ahead
	stall     *stall // of the log
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	closers   []io.Closer
}

func memoryStorage() *storage {
	memory := raft.NewInmemStore()
	return &storage{logs: newAhead(loose{memory}), stall: newStall(), stable: memory, snapshots: raft.NewInmemSnapshotStore()}
}

// loose is a log in memory, which may have gaps.
type loose struct{ *raft.InmemStore }

// IsMonotonic tells that no gap is allowed.
func (loose) IsMonotonic() bool { return false }

// openStorage opens the data directory of a member, or makes it, and reads all
// that is there, so that damage is found now and not in the middle of work.
func openStorage(config Config, fail func(error)) (opened *storage, err error) {
	dir, logger := config.Dir, newRaftLogger(config.Logger)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	s := &storage{}
	defer func() {
		if err != nil {
			_ = s.close()
		}
	}()
	lock, err := acquire(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, lock)
	failpoint.Hit("replica/start/locked")
	if err := identify(dir, config); err != nil {
		return nil, err
	}
	failpoint.Hit("replica/start/identified")
	last, err := s.openSnapshots(config, fail)
	if err != nil {
		return nil, err
	}
	if err := s.openLog(dir, logger, last, fail); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *storage) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i].Close())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// acquire locks the directory for this process; the lock goes with it.
func acquire(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w by another process: %s: is this server running already? `fuser %s` names the process", ErrInUse, filepath.Dir(path), path)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	return file, nil
}

// damaged says what is damaged and what can be done about it.
func damaged(path string, err error) error {
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%s: %w; where other servers hold the data, take this one out (`muster members remove NAME`), move its whole data directory away and join it anew with a token; else restore the directory from a backup", path, err)
}

// openSnapshots opens the snapshots and returns the index that the newest one
// reaches.
func (s *storage) openSnapshots(config Config, fail func(error)) (uint64, error) {
	store, err := openSnapshots(filepath.Join(config.Dir, snapshotsDir), config.Logger, fail)
	if err != nil {
		return 0, err
	}
	s.snapshots = store
	newest, err := store.List()
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Index, nil
}

// openLog opens the log and reads it from end to end.
func (s *storage) openLog(dir string, logger hclog.Logger, snapshot uint64, fail func(error)) error {
	path := filepath.Join(dir, logDir)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	segments, err := filepath.Glob(filepath.Join(path, "*.wal"))
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	mark, reached, begun, err := openMark(filepath.Join(dir, markFile))
	if err != nil {
		return damaged(filepath.Join(dir, markFile), err)
	}
	s.closers = append(s.closers, closer(mark.close))
	if begun || len(segments) > 0 || snapshot > 0 {
		if err := whole(path); err != nil {
			return damaged(path, err)
		}
	}
	codec := &logCodec{}
	log, database, err := openWAL(path, logger, codec)
	if err != nil {
		if environmental(err) {
			return fmt.Errorf("open log %s: %w", path, err)
		}
		return damaged(path, err)
	}
	s.closers = append(s.closers, database, log)
	keepRoom(filepath.Join(path, metadb.FileName))
	s.stall = newStall()
	j := &journal{WAL: log, codec: codec, stall: s.stall, mark: mark, path: path, fail: fail}
	s.logs, s.stable = newAhead(&recent{store: j}), stable{log}
	s.closers = append(s.closers, closer(s.logs.close))
	failpoint.Hit("replica/start/log-opened")
	if err := verify(j, s.stable, snapshot, reached); err != nil {
		return damaged(path, err)
	}
	failpoint.Hit("replica/start/log-read")
	if err := j.outrun(snapshot); err != nil {
		return fmt.Errorf("open log %s: %w", path, err)
	}
	if !begun {
		// From now on this member may vote, and must not forget that it did: nor by
		// a loss of power where its directories are.
		for _, made := range []string{dir, filepath.Dir(dir)} {
			if err := durable.SyncDir(made); err != nil {
				return fmt.Errorf("make data directory: %w", err)
			}
		}
		if err := mark.set(0, true); err != nil {
			return err
		}
		failpoint.Hit("replica/start/begun")
	}
	return nil
}

// whole checks that the database of a log that was in use is there. raft-wal
// would make a new one, without the term and the vote of this member, and remove
// the segments that it does not name.
func whole(path string) error {
	_, err := os.Stat(filepath.Join(path, metadb.FileName))
	return err
}

// openWAL opens the log, whose database is to be closed by whoever opened it, and
// panics on some kinds of damage.
func openWAL(path string, logger hclog.Logger, codec *logCodec) (log *wal.WAL, database *metadb.BoltMetaDB, err error) {
	database = &metadb.BoltMetaDB{}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrDamaged, p)
		}
		if err != nil {
			_ = database.Close()
		}
	}()
	log, err = wal.Open(path, wal.WithMetaStore(&rotating{BoltMetaDB: database}),
		wal.WithSegmentFiler(newSegments(path)), wal.WithLogger(logger), wal.WithCodec(codec))
	return log, database, err
}

// environmental tells errors of the host from errors of the data.
func environmental(err error) bool {
	for _, e := range []error{fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// verify reads every entry and checks that none is missing: between the
// snapshot and the log, and from the end that the log is known to have reached.
func verify(j *journal, values raft.StableStore, snapshot, reached uint64) error {
	first, err := j.FirstIndex()
	if err != nil {
		return err
	}
	last, err := j.LastIndex()
	if err != nil {
		return err
	}
	if last > 0 {
		for index := first; index <= last; index++ {
			if err := j.read(index, &raft.Log{}); err != nil {
				return err
			}
		}
		if first > snapshot+1 {
			return fmt.Errorf("%w: entries %d to %d are in neither log nor snapshot", ErrDamaged, snapshot+1, first-1)
		}
	}
	if reached > last {
		return fmt.Errorf("%w: the log ends at entry %d but had reached %d", ErrDamaged, last, reached)
	}
	for _, key := range []string{termKey, voteKey, "LastVoteCand"} {
		if _, err := values.Get([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// closer makes a function an io.Closer.
type closer func() error

// Close calls the function.
func (c closer) Close() error { return c() }
