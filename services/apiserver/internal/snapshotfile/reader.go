package snapshotfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Reader returns the stream of a file. It has one user at a time.
type Reader struct {
	from     *bufio.Reader
	offset   int64 // of the next byte from from
	whole    hash.Hash
	unpacker *zstd.Decoder // nil when only the checksums are of interest
	header   Header
	seen     End // what was read so far
	payload  []byte
	block    []byte
	rest     []byte // of block
	err      error
}

// NewReader reads the header. All errors but those of from itself are
// ErrDamaged, and name the offset of the frame that they are about.
func NewReader(from io.Reader) (*Reader, error) {
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(blockSize), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return newReader(from, unpacker)
}

// Verify reads a file to its end and checks all checksums. It unpacks nothing.
func Verify(from io.Reader) (Header, error) {
	r, err := newReader(from, nil)
	if err != nil {
		return Header{}, err
	}
	for err == nil {
		err = r.next()
	}
	if errors.Is(err, io.EOF) {
		return r.header, nil
	}
	return Header{}, err
}

func newReader(from io.Reader, unpacker *zstd.Decoder) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, 64<<10), whole: sha256.New(), unpacker: unpacker}
	begin := make([]byte, len(magic))
	if err := r.fill(begin, 0); err != nil {
		return nil, err
	}
	if string(begin) != magic {
		return nil, damage(0, "it does not begin as a snapshot of this format does")
	}
	r.whole.Write(begin)
	at := r.offset
	kind, payload, _, err := r.frame()
	if err != nil {
		return nil, err
	}
	if kind != kindHeader {
		return nil, damage(at, "a frame of kind %q stands where the header should", kind)
	}
	if err := json.Unmarshal(payload, &r.header); err != nil {
		return nil, damage(at, "header: %v", err)
	}
	return r, nil
}

// Header returns what the file says of itself.
func (r *Reader) Header() Header { return r.header }

// Read returns bytes of the stream, which are checked. It returns io.EOF once
// the whole has been checked.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads a block, or the end.
func (r *Reader) next() error {
	at, sum := r.offset, r.whole.Sum(nil)
	kind, payload, unpacked, err := r.frame()
	switch {
	case err != nil:
		return err
	case kind == kindBlock:
		return r.unpack(at, payload, unpacked)
	case kind == kindEnd:
		return r.finish(at, payload, sum)
	}
	return damage(at, "unknown kind %q", kind)
}

func (r *Reader) unpack(at int64, payload []byte, unpacked int) (err error) {
	r.seen.Blocks++
	r.seen.Length += uint64(unpacked)
	if r.unpacker == nil {
		return nil
	}
	if r.block, err = r.unpacker.DecodeAll(payload, r.block[:0]); err != nil {
		return damage(at, "%v", err)
	}
	if len(r.block) != unpacked {
		return damage(at, "it unpacks to %d bytes instead of %d", len(r.block), unpacked)
	}
	r.rest = r.block
	return nil
}

func (r *Reader) finish(at int64, payload, sum []byte) error {
	var end End
	if err := json.Unmarshal(payload, &end); err != nil {
		return damage(at, "end: %v", err)
	}
	switch {
	case end.Blocks != r.seen.Blocks || end.Length != r.seen.Length:
		return damage(at, "%d blocks of %d bytes precede it instead of %d of %d", r.seen.Blocks, r.seen.Length, end.Blocks, end.Length)
	case end.Entries != r.header.Entries:
		return damage(at, "the header tells of %d entries, the end of %d", r.header.Entries, end.Entries)
	case !bytes.Equal(end.SHA256, sum):
		return damage(at, "the whole does not match its SHA-256")
	}
	if _, err := r.from.ReadByte(); err == nil {
		return damage(r.offset, "bytes follow the end")
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read snapshot at offset %d: %w", r.offset, err)
	}
	return io.EOF
}

// frame reads a frame, whose payload is valid until the next one is read.
func (r *Reader) frame() (kind byte, payload []byte, unpacked int, err error) {
	at := r.offset
	var b [frameHead]byte
	if err := r.fill(b[:], at); err != nil {
		return 0, nil, 0, err
	}
	length := binary.LittleEndian.Uint32(b[1:])
	unpacked = int(binary.LittleEndian.Uint32(b[5:]))
	if length > payloadMax || unpacked > payloadMax {
		return 0, nil, 0, damage(at, "a length of %d or %d is more than a block may have", length, unpacked)
	}
	if cap(r.payload) < int(length) {
		r.payload = make([]byte, length, payloadMax)
	}
	payload = r.payload[:length]
	if err := r.fill(payload, at); err != nil {
		return 0, nil, 0, err
	}
	if binary.LittleEndian.Uint32(b[9:]) != checksum(b[:9], payload) {
		return 0, nil, 0, damage(at, "it does not match its checksum")
	}
	r.whole.Write(b[:])
	r.whole.Write(payload)
	return b[0], payload, unpacked, nil
}

// fill reads bytes of the frame at an offset; there must be so many.
func (r *Reader) fill(b []byte, at int64) error {
	n, err := io.ReadFull(r.from, b)
	r.offset += int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damage(at, "the file ends at offset %d, before its end was written", r.offset)
	case err != nil:
		return fmt.Errorf("read snapshot at offset %d: %w", r.offset, err)
	}
	return nil
}
