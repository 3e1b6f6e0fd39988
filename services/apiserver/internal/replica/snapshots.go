package replica

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
)

// Names within a snapshot's directory, which has the snapshot's own.
const (
	metaFile  = "meta.json"
	stateFile = "state.snap"
	bareFile  = "state.bin" // of hashicorp/raft's store, before there was a format of ours
	unfinish  = ".tmp"      // ends the name of a directory that is being written
)

// bareTable is the polynomial of hashicorp/raft's store.
var bareTable = crc64.MakeTable(crc64.ECMA)

// snapshotsKept is how many snapshots stay on disk.
const snapshotsKept = 2

// snapshots keeps a member's snapshots, each in a directory of its own.
// hashicorp/raft has a store of this kind; it checks nothing of what describes a
// snapshot, passes over what it cannot read in favour of an older one, and leaves
// behind what it did not finish.
type snapshots struct {
	dir    string
	logger *slog.Logger
	fail   func(error) // called with damage that is found later than at the start

	mu      sync.Mutex
	checked string // a snapshot that need not be verified when it is next opened
}

// openSnapshots removes what was not finished, and verifies the newest snapshot.
func openSnapshots(dir string, logger *slog.Logger, fail func(error)) (*snapshots, error) {
	s := &snapshots{dir: dir, logger: logger, fail: fail}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	present, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	for _, entry := range present {
		if strings.HasSuffix(entry.Name(), unfinish) {
			logger.Info("remove snapshot that was not finished", "path", filepath.Join(dir, entry.Name()))
			failpoint.Hit("replica/start/sweep")
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return nil, fmt.Errorf("remove snapshot that was not finished: %w", err)
			}
		}
	}
	all, err := s.all()
	if err != nil || len(all) == 0 {
		return s, err
	}
	body, err := s.verified(all[0].ID)
	if err != nil {
		return nil, err
	}
	s.checked = all[0].ID
	failpoint.Hit("replica/start/snapshot-verified")
	return s, body.Close()
}

// all describes the finished snapshots, the newest first.
func (s *snapshots) all() ([]*raft.SnapshotMeta, error) {
	present, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var all []*raft.SnapshotMeta
	for _, entry := range present {
		if !entry.IsDir() || strings.HasSuffix(entry.Name(), unfinish) {
			continue
		}
		meta, _, err := readMeta(filepath.Join(s.dir, entry.Name()))
		switch {
		case err == nil:
			all = append(all, meta)
		case !s.reaped(entry.Name()):
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *raft.SnapshotMeta) int {
		return cmp.Or(cmp.Compare(b.Term, a.Term), cmp.Compare(b.Index, a.Index), cmp.Compare(b.ID, a.ID))
	})
	return all, nil
}

// List returns the newest snapshot only. To be given an older one as well, Raft
// would start from it when it cannot restore the newest, and lack what lies
// between.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.all()
	return all[:min(len(all), 1)], err
}

// Open returns a snapshot, of which all checksums were found right: to send it,
// or to restore it. Damage stops the member, as damage in the log does.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	open := s.verified
	if s.checked == id {
		open, s.checked = s.open, ""
	}
	s.mu.Unlock()
	meta, _, err := readMeta(filepath.Join(s.dir, id))
	var body *os.File
	if err == nil {
		body, err = open(id)
	}
	switch {
	case err == nil:
		return meta, body, nil
	case s.reaped(id):
		return nil, nil, fmt.Errorf("open snapshot %s: it gave way to newer ones", id)
	case errors.Is(err, ErrDamaged):
		s.fail(err)
	}
	return nil, nil, err
}

// reaped tells whether a snapshot, which was there, was removed meanwhile: as
// when Raft looks for one to send while another one is finished.
func (s *snapshots) reaped(id string) bool {
	_, err := os.Stat(filepath.Join(s.dir, id))
	return errors.Is(err, fs.ErrNotExist)
}

// open opens a snapshot's state.
func (s *snapshots) open(id string) (*os.File, error) {
	dir := filepath.Join(s.dir, id)
	meta, crc, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, stateFile)
	if crc != nil {
		path = filepath.Join(dir, bareFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != meta.Size {
		_ = file.Close()
		return nil, damaged(path, cmp.Or(err, fmt.Errorf("it does not have the %d bytes that %s tells of", meta.Size, metaFile)))
	}
	return file, nil
}

// verified opens a snapshot's state and reads it once.
func (s *snapshots) verified(id string) (*os.File, error) {
	file, err := s.open(id)
	if err != nil {
		return nil, err
	}
	_, crc, err := readMeta(filepath.Join(s.dir, id))
	switch {
	case err != nil:
	case crc != nil:
		err = verifyBare(file, crc)
	default:
		_, err = snapshotfile.Verify(file)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, unreadable(file.Name(), err)
	}
	return file, nil
}

// verifyBare checks a state as hashicorp/raft's store wrote it.
func verifyBare(file io.Reader, want []byte) error {
	sum := crc64.New(bareTable)
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("it does not match its checksum")
	}
	return nil
}

// Create begins a snapshot: one of this member's state, or one that the leader
// sends.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, members raft.Configuration, membersIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	id := fmt.Sprintf("%d-%d-%d", term, index, time.Now().UnixMilli())
	k := &sink{
		store: s,
		dir:   filepath.Join(s.dir, id+unfinish),
		meta: raft.SnapshotMeta{
			Version: version, ID: id, Index: index, Term: term, Configuration: members, ConfigurationIndex: membersIndex,
		},
	}
	failpoint.Hit("replica/snapshot/create")
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	var err error
	if k.file, err = os.OpenFile(filepath.Join(k.dir, stateFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		_ = os.RemoveAll(k.dir)
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	failpoint.Hit("replica/snapshot/created")
	k.buffer = bufio.NewWriterSize(k.file, 256<<10)
	return k, nil
}

// reap removes what is more than is kept. The newest one is safe by now, so that
// nothing depends on whether it succeeds.
func (s *snapshots) reap() {
	all, err := s.all()
	for _, old := range all[min(len(all), snapshotsKept):] {
		err = errors.Join(err, s.remove(old.ID))
	}
	if err != nil {
		s.logger.Warn("remove old snapshots", "error", err)
	}
}

// remove removes a snapshot. What is left of one whose removal a crash interrupts
// must not be taken for a damaged one.
func (s *snapshots) remove(id string) error {
	path := filepath.Join(s.dir, id)
	failpoint.Hit("replica/snapshot/retire")
	if err := os.Rename(path, path+unfinish); err != nil {
		return err
	}
	failpoint.Hit("replica/snapshot/retired")
	// The new name must be on disk before what it stands for goes, or a loss of
	// power may leave the old name, and nothing in it.
	if err := durable.SyncDir(s.dir); err != nil {
		return err
	}
	return os.RemoveAll(path + unfinish)
}

// unreadable says that a file is damaged, unless it is the host that keeps it
// from being read.
func unreadable(path string, err error) error {
	if environmental(err) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return damaged(path, err)
}
