package replica

import "io"

// blankAhead is how many bytes are made blank at once. More of them make the sync
// that follows longer, fewer make such syncs more frequent.
const blankAhead = 1 << 20

// blankFor bounds the batches that are written over zeros, in bytes. Larger ones
// share what the journal takes among more callers, and would have the disk write
// twice as much when it has most to write.
const blankFor = 16 << 10

var zeros [blankAhead]byte

// blank is the part of a segment, ahead of what is written to it, that was written
// as zeros. A segment has its room from the start, but until something is
// written there the file system knows that room as never written, and has to note
// for each batch that it is: a sync of a batch in such room has to wait for the
// file system's journal, and one in blank room mostly for the batch alone. On ext4
// that is a quarter to a third of what syncing takes.
//
// (fdatasync would take little less: the journal is waited for only when the time of
// the last write has changed, which it does every few milliseconds.)
type blank struct {
	room int64 // where the segment ends
	end  int64 // of what is blank, or holds batches
}

// reach has a small batch and something behind it blank before it is written, as
// far as the segment has room that is its own.
func (b *blank) reach(file io.WriterAt, from, to int64) error {
	if to <= b.end || to-from > blankFor {
		return nil
	}
	for b.end = max(b.end, from); b.end < min(to, b.room); {
		n, err := file.WriteAt(zeros[:min(blankAhead, b.room-b.end)], b.end)
		b.end += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
