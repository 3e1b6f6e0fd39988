package snapshotfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Writer writes the format. It has one user at a time.
type Writer struct {
	to      io.Writer
	whole   hash.Hash // of all that was written
	packer  *zstd.Encoder
	pending []byte // of the stream, less than a block
	packed  []byte
	end     End
	err     error
}

// NewWriter writes the beginning; Close must follow. What to gets is complete
// only once Close has returned no error.
func NewWriter(to io.Writer, header Header) (*Writer, error) {
	// The fastest level: a snapshot is written beside all other work. Checksums
	// are this format's own.
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(blockSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	w := &Writer{to: to, whole: sha256.New(), packer: packer, pending: make([]byte, 0, blockSize), end: End{Entries: header.Entries}}
	text, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("write snapshot header: %w", err)
	}
	w.put([]byte(magic))
	w.frame(kindHeader, text, len(text))
	return w, w.err
}

// Write adds to the stream.
func (w *Writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		n := min(len(p), blockSize-len(w.pending))
		w.pending = append(w.pending, p[:n]...)
		p, written = p[n:], written+n
		if len(w.pending) == blockSize {
			w.flush()
		}
	}
	return written, w.err
}

// Close writes the end. It does not close what it writes to.
func (w *Writer) Close() error {
	w.flush()
	w.end.SHA256 = w.whole.Sum(nil)
	text, err := json.Marshal(w.end)
	if err != nil {
		return fmt.Errorf("write snapshot end: %w", err)
	}
	w.frame(kindEnd, text, len(text))
	return w.err
}

func (w *Writer) flush() {
	if len(w.pending) == 0 {
		return
	}
	w.packed = w.packer.EncodeAll(w.pending, w.packed[:0])
	w.frame(kindBlock, w.packed, len(w.pending))
	w.end.Blocks++
	w.end.Length += uint64(len(w.pending))
	w.pending = w.pending[:0]
}

func (w *Writer) frame(kind byte, payload []byte, unpacked int) {
	w.put(head(kind, payload, unpacked))
	w.put(payload)
}

func (w *Writer) put(b []byte) {
	if w.err != nil {
		return
	}
	w.whole.Write(b) // never fails
	if _, err := w.to.Write(b); err != nil {
		w.err = fmt.Errorf("write snapshot: %w", err)
	}
}

// Write writes a file whose stream a function writes.
func Write(to io.Writer, header Header, stream func(io.Writer) error) error {
	w, err := NewWriter(to, header)
	if err != nil {
		return err
	}
	if err := stream(w); err != nil {
		return err
	}
	return w.Close()
}

// Starts tells whether a file that begins with some bytes, at least three of
// them, is of this format; if not, whether it is a bare stream as written before
// there was this format.
func Starts(with []byte) (framed, bare bool) {
	if bytes.HasPrefix([]byte(magic), with[:min(len(with), len(magic))]) {
		return true, false
	}
	// The length of a SnapshotHeader, its first field's tag, and format 1.
	return false, len(with) >= 3 && with[0] < 0x80 && with[1] == 0x08 && with[2] == 0x01
}
