package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// smallSegments makes segments hold a few entries.
func smallSegments(t *testing.T) {
	t.Helper()
	size := wal.DefaultSegmentSize
	wal.DefaultSegmentSize = 1024
	t.Cleanup(func() { wal.DefaultSegmentSize = size })
}

// logTest is a log and what it should hold.
type logTest struct {
	*testing.T
	dir  string
	s    *storage
	term uint64
	want []uint64 // the terms of the entries from 1
}

func newLogTest(t *testing.T) *logTest {
	lt := &logTest{T: t, dir: t.TempDir()}
	if err := identify(lt.dir, Config{ClusterID: "c", ID: "m1"}); err != nil {
		t.Fatal(err)
	}
	lt.open()
	t.Cleanup(func() { _ = lt.s.close() })
	return lt
}

func (t *logTest) open() {
	t.Helper()
	t.s = &storage{}
	logger := newRaftLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err := t.s.openLog(t.dir, logger, 0, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	t.check()
}

func (t *logTest) reopen() {
	t.Helper()
	if err := t.s.close(); err != nil {
		t.Fatal(err)
	}
	t.open()
}

func (t *logTest) check() {
	t.Helper()
	if last, err := t.s.logs.LastIndex(); err != nil || last != uint64(len(t.want)) {
		t.Fatalf("log ends at %d, want %d: %v", last, len(t.want), err)
	}
	for i, term := range t.want {
		var log raft.Log
		if err := t.s.logs.GetLog(uint64(i)+1, &log); err != nil || log.Term != term {
			t.Fatalf("entry %d is of term %d, want %d: %v", i+1, log.Term, term, err)
		}
	}
}

func (t *logTest) append(n int) {
	t.Helper()
	t.term++
	for range n {
		log := &raft.Log{Index: uint64(len(t.want)) + 1, Term: t.term, Data: make([]byte, 100)}
		if err := t.s.logs.StoreLog(log); err != nil {
			t.Fatalf("append %d: %v", log.Index, err)
		}
		t.want = append(t.want, t.term)
	}
}

// truncate leaves the first n entries, as a follower does whose last ones are
// not the leader's.
func (t *logTest) truncate(n int) {
	t.Helper()
	if err := t.s.logs.DeleteRange(uint64(n)+1, uint64(len(t.want))); err != nil {
		t.Fatal(err)
	}
	t.want = t.want[:n]
}

// crash opens a copy of the files as they are now.
func (t *logTest) crash() {
	t.Helper()
	before, dir := t.s, t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(t.dir)); err != nil {
		t.Fatal(err)
	}
	_ = before.close()
	t.dir = dir
	t.open()
}

func TestLogTruncated(t *testing.T) {
	smallSegments(t)
	for entries := 1; entries <= 14; entries++ {
		for kept := 1; kept < entries; kept++ {
			t.Run(fmt.Sprintf("%d of %d", kept, entries), func(t *testing.T) {
				lt := newLogTest(t)
				lt.append(entries)
				lt.truncate(kept)
				lt.check()
				lt.reopen()
				lt.append(3)
				lt.reopen()
				lt.truncate(kept)
				lt.append(9)
				lt.truncate(kept + 1)
				lt.reopen()
			})
		}
	}
}

// TestLogSealed stops after a segment is full and before raft-wal has made the
// next one, which it does later.
func TestLogSealed(t *testing.T) {
	smallSegments(t)
	for entries := 1; entries <= 14; entries++ {
		for name, stop := range map[string]func(*logTest){"closed": (*logTest).reopen, "crashed": (*logTest).crash} {
			t.Run(fmt.Sprintf("%d %s", entries, name), func(t *testing.T) {
				for range 5 {
					lt := newLogTest(t)
					lt.append(entries)
					stop(lt)
					lt.append(9)
					stop(lt)
				}
			})
		}
	}
}

// TestLogSealTorn has a power loss take a part of the index that seals a
// segment.
func TestLogSealTorn(t *testing.T) {
	smallSegments(t)
	for _, forced := range []bool{false, true} {
		for cut := int64(1); cut < 32; cut++ {
			t.Run(fmt.Sprintf("%v %d", forced, cut), func(t *testing.T) {
				lt := newLogTest(t)
				lt.append(5)
				if err := lt.s.close(); err != nil {
					t.Fatal(err)
				}
				lt.seal(forced, cut)
				lt.open()
				lt.append(9)
				lt.reopen()
			})
		}
	}
}

// TestLogTornBatch has a crash take the end of a batch whose bytes look like frames
// of the log, and a shorter one be appended over its beginning: what follows that
// are no entries.
func TestLogTornBatch(t *testing.T) {
	frames := bytes.Repeat([]byte{segment.FrameEntry, 0, 0, 0, 0, 0, 0, 0, segment.FrameCommit, 0, 0, 0, 0, 0, 0, 0}, 256)
	for shift := range 2 {
		lt := newLogTest(t)
		lt.append(2)
		if err := lt.s.close(); err != nil {
			t.Fatal(err)
		}
		lt.tear(types.LogEntry{Index: 3, Data: frames[8*shift:]})
		lt.open()
		lt.append(1)
		lt.reopen()
		lt.append(3)
		lt.reopen()
	}
}

// tear appends an entry to the only segment, without what says that it is whole.
func (t *logTest) tear(entry types.LogEntry) {
	t.Helper()
	info, w := t.tail()
	if err := w.Append([]types.LogEntry{entry}); err != nil {
		t.Fatal(err)
	}
	offset, err := w.OffsetForFrame(entry.Index)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	t.cut(info, int64(offset)+frameHeader+int64(len(entry.Data)))
}

// seal has the only segment sealed, with another entry or not, and all of the
// file lost but so much of what that wrote.
func (t *logTest) seal(entry bool, kept int64) {
	t.Helper()
	info, w := t.tail()
	defer func() { _ = w.Close() }()
	keep := func(start uint64) int64 { return int64(start) - frameHeader + kept }
	if entry {
		if err := w.Append([]types.LogEntry{{Index: 6, Data: make([]byte, 900)}}); err != nil {
			t.Fatal(err)
		}
		_, start, _ := w.Sealed()
		t.cut(info, keep(start))
		return
	}
	start, err := w.ForceSeal()
	if err != nil {
		t.Fatal(err)
	}
	t.cut(info, keep(start))
}

// tail opens the only segment of a log that is closed.
func (t *logTest) tail() (types.SegmentInfo, *segment.Writer) {
	t.Helper()
	database := &metadb.BoltMetaDB{}
	state, err := database.Load(filepath.Join(t.dir, logDir))
	if err != nil || len(state.Segments) != 1 {
		t.Fatal(state, err)
	}
	_ = database.Close()
	w, err := segment.NewFiler(filepath.Join(t.dir, logDir), walfs.New()).RecoverTail(state.Segments[0])
	if err != nil {
		t.Fatal(err)
	}
	return state.Segments[0], w.(*segment.Writer)
}

func (t *logTest) cut(info types.SegmentInfo, offset int64) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(t.dir, logDir, segment.FileName(info)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := zero(file, offset); err != nil {
		t.Fatal(err)
	}
}
