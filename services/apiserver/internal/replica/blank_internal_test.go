package replica

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// noting notes what is written to a segment.
type noting struct {
	*os.File
	end, zeros int64 // what was written reaches to end; zeros were so many bytes of it
}

func (n *noting) WriteAt(p []byte, at int64) (int, error) {
	if len(bytes.Trim(p, "\x00")) == 0 {
		n.zeros += int64(len(p))
	}
	n.end = max(n.end, at+int64(len(p)))
	return n.File.WriteAt(p, at)
}

// emptySegment returns one with room.
func emptySegment(t *testing.T, room int64) (*written, *noting) {
	t.Helper()
	made, err := os.Create(filepath.Join(t.TempDir(), "segment"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Close() })
	if err := made.Truncate(room); err != nil {
		t.Fatal(err)
	}
	file := &noting{File: made}
	w, err := write(file, false)
	if err != nil {
		t.Fatal(err)
	}
	return w, file
}

// A large batch is written as it is, and a small one behind it over zeros.
func TestLargeBatchesAreNotWrittenOverZeros(t *testing.T) {
	w, file := emptySegment(t, 3*blankAhead)
	large := bytes.Repeat([]byte("."), blankFor+1)
	if _, err := w.WriteAt(large, 0); err != nil || file.zeros != 0 {
		t.Errorf("%d bytes of zeros for a large batch: %v", file.zeros, err)
	}
	if _, err := w.WriteAt([]byte("small"), int64(len(large))); err != nil || file.zeros != blankAhead {
		t.Errorf("%d bytes of zeros for a small batch: %v", file.zeros, err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil || !bytes.HasPrefix(got, append(large, "small"...)) {
		t.Errorf("the segment does not hold what was written: %v", err)
	}
}

// Batches are written over zeros as far as the segment has room, and then as they
// are.
func TestBatchesAreWrittenOverZeros(t *testing.T) {
	const room, batch = 3*blankAhead + 1000, blankFor
	w, file := emptySegment(t, room)
	content := bytes.Repeat([]byte("entry "), batch)[:batch]
	at := int64(0)
	for ; at < room+batch; at += batch {
		if _, err := w.WriteAt(content, at); err != nil {
			t.Fatal(err)
		}
		if want := min(room, (at/blankAhead+1)*blankAhead); file.zeros < want && file.zeros < at+batch {
			t.Fatalf("%d bytes of zeros after the batch at %d", file.zeros, at)
		}
	}
	if file.zeros != room || file.end != at {
		t.Errorf("%d bytes of zeros, want %d; written up to %d of %d", file.zeros, room, file.end, at)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil || !bytes.Equal(got, bytes.Repeat(content, int(at/batch))) {
		t.Errorf("the segment does not hold what was written: %v", err)
	}
}
