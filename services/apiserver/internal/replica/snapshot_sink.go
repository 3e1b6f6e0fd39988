package replica

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
)

// syncEvery is how many bytes of a snapshot are written between two syncs. One
// sync at the end would have the log's wait for all of it.
const syncEvery = 4 << 20

// sink is a snapshot that is being written, beside the finished ones. Raft writes
// to it from one goroutine.
type sink struct {
	store    *snapshots
	dir      string
	file     *os.File
	buffer   *bufio.Writer
	unsynced int
	meta     raft.SnapshotMeta
	closed   bool
}

// ID of the snapshot.
func (k *sink) ID() string { return k.meta.ID }

// Write adds to the state.
func (k *sink) Write(p []byte) (int, error) {
	failpoint.Hit("replica/snapshot/block")
	n, err := k.buffer.Write(p)
	k.meta.Size += int64(n)
	if k.unsynced += n; err == nil && k.unsynced >= syncEvery {
		k.unsynced = 0
		err = errors.Join(k.buffer.Flush(), k.file.Sync())
		failpoint.Hit("replica/snapshot/part-synced")
	}
	if err != nil {
		return n, fmt.Errorf("write snapshot: %w", err)
	}
	return n, nil
}

// Close makes the snapshot the newest one, if what is on disk is whole. Raft
// replaces the state, or cuts the log, only after that.
func (k *sink) Close() error {
	if k.closed {
		return nil
	}
	k.closed = true
	err := k.finish()
	if err != nil {
		_ = os.RemoveAll(k.dir)
		return fmt.Errorf("finish snapshot %s: %w", k.meta.ID, err)
	}
	failpoint.Hit("replica/snapshot/finished")
	k.store.reap()
	return nil
}

// finish takes the steps in an order in which a crash between two of them leaves
// either a name that is known for unfinished or all of the snapshot.
func (k *sink) finish() error {
	err := k.buffer.Flush()
	failpoint.Hit("replica/snapshot/ended")
	err = errors.Join(err, k.file.Sync())
	failpoint.Hit("replica/snapshot/synced")
	var text []byte
	if err == nil {
		text, err = k.describe()
	}
	if err := errors.Join(err, k.file.Close()); err != nil {
		return err
	}
	failpoint.Hit("replica/snapshot/verified")
	if err := durable.ReplaceFile(filepath.Join(k.dir, metaFile), text, 0o600); err != nil { // syncs the directory too
		return err
	}
	failpoint.Hit("replica/snapshot/described")
	if err := os.Rename(k.dir, strings.TrimSuffix(k.dir, unfinish)); err != nil {
		return err
	}
	failpoint.Hit("replica/snapshot/renamed")
	return durable.SyncDir(k.store.dir)
}

// describe reads what was written, by the leader if it came from there, and
// returns the content of the file beside it.
func (k *sink) describe() ([]byte, error) {
	begin := make([]byte, 3)
	if _, err := k.file.ReadAt(begin, 0); err != nil {
		return nil, fmt.Errorf("%s: %w: it holds %d bytes", k.file.Name(), ErrDamaged, k.meta.Size)
	}
	if _, err := k.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, bare := snapshotfile.Starts(begin); bare {
		return k.describeBare()
	}
	if _, err := snapshotfile.Verify(k.file); err != nil {
		return nil, unreadable(k.file.Name(), err)
	}
	return sealMeta(k.meta)
}

// describeBare keeps what a leader of the version before sends, as that version
// does. It is checked by being restored.
func (k *sink) describeBare() ([]byte, error) {
	sum := crc64.New(bareTable)
	if _, err := io.Copy(sum, k.file); err != nil {
		return nil, err
	}
	if err := os.Rename(k.file.Name(), filepath.Join(k.dir, bareFile)); err != nil {
		return nil, err
	}
	return json.Marshal(bareMeta{SnapshotMeta: k.meta, CRC: sum.Sum(nil)})
}

// Cancel removes what was written.
func (k *sink) Cancel() error {
	if k.closed {
		return nil
	}
	k.closed = true
	return errors.Join(k.file.Close(), os.RemoveAll(k.dir))
}
