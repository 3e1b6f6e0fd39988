package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// codecID names the format of log entries on disk: a CRC-32C (little endian)
// and what raft-wal's own codec writes.
const codecID = wal.FirstExternalCodecID + 0x4d55

// codec adds a checksum to every log entry. The log itself has one for its last
// batch only, which tells a torn write from a whole one but says nothing of what
// has happened to older entries since.
type codec struct{ wal.BinaryCodec }

// ID returns the format's name.
func (*codec) ID() uint64 { return codecID }

// Encode writes an entry.
func (c *codec) Encode(log *raft.Log, w io.Writer) error {
	var body bytes.Buffer
	body.Grow(len(log.Data) + len(log.Extensions) + 64)
	body.Write(make([]byte, crc32.Size))
	if err := c.BinaryCodec.Encode(log, &body); err != nil {
		return err
	}
	b := body.Bytes()
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[crc32.Size:], castagnoli))
	_, err := w.Write(b)
	return err
}

// Decode reads an entry and checks it.
func (c *codec) Decode(b []byte, log *raft.Log) error {
	if len(b) < crc32.Size {
		return fmt.Errorf("%w: log entry of %d bytes", ErrDamaged, len(b))
	}
	if binary.LittleEndian.Uint32(b) != crc32.Checksum(b[crc32.Size:], castagnoli) {
		return fmt.Errorf("%w: log entry does not match its checksum", ErrDamaged)
	}
	return c.BinaryCodec.Decode(b[crc32.Size:], log)
}
