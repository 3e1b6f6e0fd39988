package replica

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// readCounter counts what is read from a log.
type readCounter struct {
	*raft.InmemStore
	reads   int
	refuses error
}

func (s *readCounter) IsMonotonic() bool { return true }

func (s *readCounter) GetLog(index uint64, log *raft.Log) error {
	s.reads++
	return s.InmemStore.GetLog(index, log)
}

func (s *readCounter) StoreLogs(logs []*raft.Log) error {
	if s.refuses != nil {
		return s.refuses
	}
	return s.InmemStore.StoreLogs(logs)
}

// What was appended last is read from memory, as far as the bounds go, and all
// else from the log.
func TestRecentEntries(t *testing.T) {
	log := &readCounter{InmemStore: raft.NewInmemStore()}
	c := &recent{store: log}
	index := uint64(0)
	add := func(size int) {
		t.Helper()
		index++
		if err := c.StoreLog(&raft.Log{Index: index, Data: bytes.Repeat([]byte{byte(index)}, size)}); err != nil {
			t.Fatal(err)
		}
	}
	fromMemory := func(first, last uint64) (n int) {
		t.Helper()
		for i := first; i <= last; i++ {
			var entry raft.Log
			log.reads = 0
			if err := c.GetLog(i, &entry); err != nil || entry.Index != i || len(entry.Data) > 0 && entry.Data[0] != byte(i) {
				t.Fatalf("entry %d: %v, %v", i, entry.Index, err)
			}
			n += 1 - log.reads
		}
		return n
	}
	for range 3 * recentCount {
		add(10)
	}
	if got := fromMemory(1, index); got != recentCount || fromMemory(index-recentCount+1, index) != recentCount {
		t.Errorf("%d entries are kept, not the last %d", got, recentCount)
	}
	for range 5 {
		add(recentBytes / 4)
	}
	if got := fromMemory(1, index); got != 4 || c.bytes > recentBytes {
		t.Errorf("%d large entries are kept, %d bytes", got, c.bytes)
	}
	add(2 * recentBytes)
	if got := fromMemory(1, index); got != 1 {
		t.Errorf("%d entries are kept with one that is too large for all others", got)
	}
	add(10)
	if got := fromMemory(1, index); got != 1 || c.bytes != 10 {
		t.Errorf("%d entries are kept after it, %d bytes", got, c.bytes)
	}

	// Conflicting entries are replaced by others of the same index.
	if err := c.DeleteRange(index-1, index); err != nil {
		t.Fatal(err)
	}
	var gone raft.Log
	if err := c.GetLog(index, &gone); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that was removed: %v", err)
	}
	index -= 2
	for range 3 {
		add(10)
	}
	if got := fromMemory(1, index); got != 3 {
		t.Errorf("%d entries are kept after others were removed", got)
	}
	log.refuses = errors.New("disk is full")
	if err := c.StoreLog(&raft.Log{Index: index + 1}); !errors.Is(err, log.refuses) {
		t.Errorf("append: %v", err)
	}
	if err := c.GetLog(index+1, &gone); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that was not stored: %v", err)
	}
}
