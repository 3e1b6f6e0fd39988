package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// format is what Snapshot writes and Restore reads.
const format = 1

// entryMax bounds one message of a snapshot; an entry cannot be larger than the
// log entry that brought it.
const entryMax = 256 << 20

// Image is a state to be written. It is taken in no time and written while the
// store goes on.
type Image struct {
	at           *snapshot
	outcomes     *outcomes
	transactions uint64
}

// Image takes the present state. Like Apply it has one caller at a time.
func (s *Store) Image() *Image {
	return &Image{at: s.current.Load(), outcomes: s.outcomes.copy(), transactions: s.outcomes.total.Load()}
}

// Snapshot writes the present state: a header, the remembered outcomes and the
// entries, each a length-delimited message.
func (s *Store) Snapshot(w io.Writer) error { return s.Image().Write(w) }

// Write writes the image.
func (i *Image) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	header := &storev1.SnapshotHeader{
		Format:       format,
		Revision:     i.at.revision,
		Index:        i.at.index,
		Entries:      i.Entries(),
		Outcomes:     uint64(i.outcomes.len()),
		Transactions: i.transactions,
	}
	if _, err := protodelim.MarshalTo(out, header); err != nil {
		return fmt.Errorf("write snapshot header: %w", err)
	}
	for o := range i.outcomes.all() {
		if _, err := protodelim.MarshalTo(out, o); err != nil {
			return fmt.Errorf("write snapshot outcome: %w", err)
		}
	}
	var value, text []byte
	for entry := range (View{i.at}).All() {
		var err error
		value = entry.AppendValue(value[:0])
		if text, err = delimited(text[:0], encode(entry, value)); err == nil {
			_, err = out.Write(text)
		}
		if err != nil {
			return fmt.Errorf("write snapshot entry %s: %w", entry.Key, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// delimited appends what protodelim would write, to bytes that are used again:
// there may be millions of entries.
func delimited(to []byte, m proto.Message) ([]byte, error) {
	to = protowire.AppendVarint(to, uint64(proto.Size(m)))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(to, m)
}

// Restore replaces the state by one that Snapshot wrote. If it returns an error
// the state is what it was. All watchers behind the new revision become too old.
func (s *Store) Restore(r io.Reader) error {
	remembered := newOutcomes()
	b := newBatch(empty(), s.packer)
	header, err := scan(r,
		func(o *storev1.Outcome) { remembered.remember(o.GetId(), o.GetResult()) },
		b.restore)
	if err != nil {
		return err
	}
	s.replace(b, header, remembered)
	return nil
}

// readDelimited reads what delimited wrote, to bytes that are used again.
func readDelimited(from *bufio.Reader, to []byte) ([]byte, error) {
	size, err := binary.ReadUvarint(from)
	if err != nil {
		return to, err
	}
	if size > entryMax {
		return to, fmt.Errorf("an entry of %d bytes is larger than %d", size, entryMax)
	}
	to = slices.Grow(to, int(size))[:size]
	if _, err := io.ReadFull(from, to); err != nil {
		return to, noEOF(err)
	}
	return to, nil
}

// scan reads what Image.Write wrote. Nothing of an entry may be kept: its memory
// is that of the next one too.
func scan(r io.Reader, outcome func(*storev1.Outcome), entry func(*storev1.Entry)) (*storev1.SnapshotHeader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	limited := protodelim.UnmarshalOptions{MaxSize: entryMax}
	header := &storev1.SnapshotHeader{}
	if err := limited.UnmarshalFrom(in, header); err != nil {
		return nil, fmt.Errorf("read snapshot header: %w", noEOF(err))
	}
	if header.GetFormat() != format {
		return nil, fmt.Errorf("read snapshot: format %d is not known, only %d", header.GetFormat(), format)
	}
	for n := range header.GetOutcomes() {
		o := &storev1.Outcome{}
		if err := limited.UnmarshalFrom(in, o); err != nil {
			return nil, fmt.Errorf("read snapshot outcome %d of %d: %w", n+1, header.GetOutcomes(), noEOF(err))
		}
		outcome(o)
	}
	var text []byte
	for n := range header.GetEntries() {
		e := &storev1.Entry{}
		var err error
		if text, err = readDelimited(in, text[:0]); err == nil {
			err = e.UnmarshalVTUnsafe(text)
		}
		if err != nil {
			return nil, fmt.Errorf("read snapshot entry %d of %d: %w", n+1, header.GetEntries(), noEOF(err))
		}
		if !keyOf(e.GetKey()).valid() {
			return nil, fmt.Errorf("read snapshot entry %d of %d: key %q has no resource or name, or holds a zero byte",
				n+1, header.GetEntries(), keyOf(e.GetKey()))
		}
		entry(e)
	}
	switch _, err := in.ReadByte(); {
	case err == nil:
		return nil, fmt.Errorf("read snapshot: bytes follow the last of %d entries", header.GetEntries())
	case !errors.Is(err, io.EOF): // what reads on found the end damaged
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return header, nil
}

func (s *Store) replace(b *batch, header *storev1.SnapshotHeader, remembered *outcomes) {
	next := b.commit(header.GetIndex())
	next.revision = header.GetRevision()
	s.outcomes.become(remembered, header.GetTransactions())
	s.current.Store(next)
	s.history.reset(next.revision)
	s.past.forget(math.MaxUint64)
}

// restore puts an entry with the revisions that it had.
func (b *batch) restore(e *storev1.Entry) {
	group := b.group(e.GetKey().GetResource(), e.GetKey().GetNamespace())
	entry := decode(e, group.space)
	entry.index = b.packer.names.index(e.GetIndex())
	b.packer.keep(entry, e.GetValue())
	prev, _ := group.get(entry.Key.Name)
	b.replace(prev, entry)
}

func encode(e *Entry, value []byte) *storev1.Entry {
	return &storev1.Entry{
		Key:            &storev1.Key{Resource: e.Key.Resource, Namespace: e.Key.Namespace, Name: e.Key.Name},
		Value:          value,
		CreateRevision: e.CreateRevision,
		ModRevision:    e.ModRevision,
		Index:          e.Index(),
		ExpiresUnix:    e.Expires,
	}
}

// decode returns an entry without its index and its value, whose name is still
// that of the message.
func decode(e *storev1.Entry, space *Space) *Entry {
	return &Entry{
		Key:            StoredKey{space, e.GetKey().GetName()},
		CreateRevision: e.GetCreateRevision(),
		ModRevision:    e.GetModRevision(),
		Expires:        e.GetExpiresUnix(),
	}
}

// noEOF turns the end of a stream that should go on into an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
