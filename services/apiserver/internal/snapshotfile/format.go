// Package snapshotfile is the format of a state on disk and on the wire: a
// stream in compressed blocks, each with a checksum, and a checksum of the whole
// at its end. A reader hands out nothing of a block before it has checked it,
// and no end before it has checked the whole.
//
//	magic    "muster snapshot 2\n"
//	header   frame of Header, as JSON
//	block    frame of up to 256 KiB of the stream, compressed by zstd; any number
//	end      frame of End, as JSON
//
// A frame is its kind (1 byte), the length of its payload and of what that
// unpacks to (4 bytes each, little endian), the CRC-32C of those nine bytes and
// of the payload, and the payload.
package snapshotfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// magic is what the format begins with. The number is the format's.
const magic = "muster snapshot 2\n"

// blockSize is how much of the stream one block holds, in bytes.
const blockSize = 256 << 10

// payloadMax bounds a frame's payload, in bytes: zstd adds little to what it
// cannot compress.
const payloadMax = blockSize + 4<<10

// The kinds of frames.
const (
	kindHeader = 'H'
	kindBlock  = 'B'
	kindEnd    = 'E'
)

// frameHead is the length of what precedes a payload, in bytes.
const frameHead = 1 + 4 + 4 + crc32.Size

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that what is read is not what was written.
var ErrDamaged = errors.New("snapshot is damaged")

// Header says what the stream is a state of.
type Header struct {
	// Cluster whose state it is, by its ID; empty in a member's own snapshots,
	// which lie in a directory that says so.
	Cluster string `json:"cluster,omitempty"`
	// Server that wrote it.
	Server string `json:"server,omitempty"`
	// Revision of the state.
	Revision uint64 `json:"revision"`
	// Index of the last log entry that the state holds.
	Index uint64 `json:"index"`
	// Entries of the state.
	Entries uint64 `json:"entries"`
	// Time at which the state was taken, by the server's clock.
	Time time.Time `json:"time"`
}

// End says what the stream was.
type End struct {
	// Entries of the state, as in the header.
	Entries uint64 `json:"entries"`
	// Blocks of the stream.
	Blocks uint64 `json:"blocks"`
	// Length of the stream, in bytes before it was compressed.
	Length uint64 `json:"length"`
	// SHA256 of all bytes before this frame.
	SHA256 []byte `json:"sha256"`
}

// head makes what precedes a payload.
func head(kind byte, payload []byte, unpacked int) []byte {
	b := make([]byte, 0, frameHead)
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, uint32(unpacked))
	return binary.LittleEndian.AppendUint32(b, checksum(b, payload))
}

func checksum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
}

// damage names a place, in bytes from the beginning of the file.
func damage(offset int64, format string, args ...any) error {
	return fmt.Errorf("%w: block at offset %d: %s", ErrDamaged, offset, fmt.Sprintf(format, args...))
}
