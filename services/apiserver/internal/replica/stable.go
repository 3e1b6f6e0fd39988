package replica

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
)

// stable adds a checksum to the few values that Raft keeps beside the log: its
// term and its vote.
type stable struct{ raft.StableStore }

// Set stores a value.
func (s stable) Set(key, value []byte) error {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
	failpoint.Hit("replica/vote/store")
	if err := s.StableStore.Set(key, binary.LittleEndian.AppendUint32(append([]byte(nil), value...), sum)); err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	failpoint.Hit("replica/vote/stored")
	return nil
}

// Get returns a value, or nothing if it was never set.
func (s stable) Get(key []byte) ([]byte, error) {
	b, err := s.StableStore.Get(key)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	n := len(b) - crc32.Size
	if n < 0 || binary.LittleEndian.Uint32(b[n:]) != crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[:n]) {
		return nil, fmt.Errorf("%w: the log's %s does not match its checksum", ErrDamaged, key)
	}
	return b[:n], nil
}

// SetUint64 stores a number.
func (s stable) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 returns a number, or 0 if it was never set.
func (s stable) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: the log's %s is no number", ErrDamaged, key)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// steadfast is what a running Raft stores its term and its vote in. Raft panics
// when it cannot store its term; instead the member is told to stop, and the
// goroutine that cannot go on ends.
type steadfast struct {
	raft.StableStore
	fail func(error)
}

// SetUint64 stores a number, unless it is the one that is there, as when Raft
// starts.
func (s steadfast) SetUint64(key []byte, value uint64) error {
	if was, err := s.GetUint64(key); err == nil && was == value && value > 0 {
		return nil
	}
	if err := s.StableStore.SetUint64(key, value); err != nil {
		s.fail(err)
		runtime.Goexit()
	}
	return nil
}
