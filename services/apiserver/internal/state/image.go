package state

import (
	"io"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// Image returns the view to be written, without the remembered transactions:
// those who proposed them are not told by what is made of it.
func (v View) Image() *Image { return &Image{at: v.at, outcomes: newOutcomes()} }

// Revision of the state.
func (i *Image) Revision() uint64 { return i.at.revision }

// Index of the last log entry that the state holds.
func (i *Image) Index() uint64 { return i.at.index }

// Entries counts what Write writes.
func (i *Image) Entries() uint64 { return uint64(i.at.count) }

// Begin returns the same entries as the state that a new log begins with: at
// index 1, at a revision that is ahead of the old one by so many. What changes
// there gets revisions that nobody has seen, and whoever watches from a revision
// of before is too old; the entries keep theirs.
func (i *Image) Begin(ahead uint64) *Image {
	at := *i.at
	at.revision, at.index = at.revision+ahead, 1
	return &Image{at: &at, outcomes: newOutcomes()}
}

// Scan reads what Snapshot wrote, calls entry for each entry, and returns the
// revision and the log index of the state.
func Scan(r io.Reader, entry func(*Entry)) (revision, index uint64, err error) {
	known := newNames()
	header, err := scan(r, func(*storev1.Outcome) {}, func(e *storev1.Entry) {
		read := decode(e, newSpace(e.GetKey().GetResource(), e.GetKey().GetNamespace()))
		read.index = known.index(e.GetIndex())
		read.hold(read.Key.Name, e.GetValue())
		entry(read)
	})
	return header.GetRevision(), header.GetIndex(), err
}
