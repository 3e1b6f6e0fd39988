package replica

import (
	"sync"

	"github.com/hashicorp/raft"
)

// Bounds of what is kept of the log in memory.
const (
	recentCount = 64
	recentBytes = 4 << 20
)

// recent keeps the last entries of the log in memory: Raft writes an entry and
// reads it back to send it to each follower or, on a follower, to apply it.
// (raft.NewLogCache bounds their number only, and hides what an error is about.)
type recent struct {
	store

	mu      sync.RWMutex
	entries [recentCount]*raft.Log // by index, as a ring
	bytes   int
	oldest  uint64 // index that may still be kept
}

// store is a log that tells whether it allows gaps.
type store interface {
	raft.LogStore
	raft.MonotonicLogStore
}

// GetLog reads an entry.
func (c *recent) GetLog(index uint64, log *raft.Log) error {
	c.mu.RLock()
	kept := c.entries[index%recentCount]
	c.mu.RUnlock()
	if kept != nil && kept.Index == index {
		*log = *kept
		return nil
	}
	return c.store.GetLog(index, log)
}

// StoreLog appends an entry.
func (c *recent) StoreLog(log *raft.Log) error { return c.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries, and keeps those that were stored.
func (c *recent) StoreLogs(logs []*raft.Log) error {
	if err := c.store.StoreLogs(logs); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, log := range logs {
		c.keep(log)
	}
	return nil
}

// keep makes room for an entry and keeps it.
func (c *recent) keep(log *raft.Log) {
	if c.bytes == 0 {
		c.oldest = log.Index
	}
	c.bytes += len(log.Data)
	for ; c.oldest < log.Index && (c.bytes > recentBytes || log.Index-c.oldest >= recentCount); c.oldest++ {
		c.drop(c.oldest)
	}
	kept := *log // and not what else goes with it where it was made
	c.entries[log.Index%recentCount] = &kept
}

func (c *recent) drop(index uint64) {
	if kept := c.entries[index%recentCount]; kept != nil && kept.Index == index {
		c.bytes -= len(kept.Data)
		c.entries[index%recentCount] = nil
	}
}

// DeleteRange removes entries, whether it is known to have succeeded or not.
func (c *recent) DeleteRange(min, max uint64) error {
	c.mu.Lock()
	clear(c.entries[:])
	c.bytes = 0
	c.mu.Unlock()
	return c.store.DeleteRange(min, max)
}
