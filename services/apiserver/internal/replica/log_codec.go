package replica

import (
	"bytes"
	"io"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// Bounds of what is kept for the next entries, in bytes, and of what an entry takes
// beside its data and extensions.
const (
	encodedKept = 1 << 20
	entryHead   = 64
)

// logCodec writes entries as raft-wal's own codec does, but into memory that is used
// again. raft-wal has each grow a buffer of its own, and copies that to what it writes.
//
// raft-wal takes no codec that has its own one's ID, and no segments of another one,
// but marks all segments as of its own. So the ID is another one until raft-wal has
// checked it.
type logCodec struct {
	wal.BinaryCodec
	checked bool
	memory  []byte
	used    int
}

func (c *logCodec) ID() uint64 {
	if c.checked {
		return wal.CodecBinaryV1
	}
	c.checked = true
	return wal.FirstExternalCodecID
}

// reuse makes the memory available again. What was encoded is written.
func (c *logCodec) reuse() {
	if c.used = 0; len(c.memory) > encodedKept {
		c.memory = nil
	}
}

// Encode writes an entry.
func (c *logCodec) Encode(log *raft.Log, w io.Writer) error {
	if buffer, ok := w.(*bytes.Buffer); ok && buffer.Cap() == 0 {
		*buffer = *bytes.NewBuffer(c.take(len(log.Data) + len(log.Extensions) + entryHead))
	}
	return c.BinaryCodec.Encode(log, w)
}

func (c *logCodec) take(size int) []byte {
	if c.used+size > len(c.memory) {
		c.memory, c.used = make([]byte, max(2*len(c.memory), size)), 0
	}
	taken := c.memory[c.used : c.used : c.used+size]
	c.used += size
	return taken
}
