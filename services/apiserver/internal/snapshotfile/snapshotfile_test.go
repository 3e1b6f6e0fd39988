package snapshotfile_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
)

var header = snapshotfile.Header{Cluster: "c", Server: "s1", Revision: 7, Index: 9, Entries: 3, Time: time.Unix(1_700_000_000, 0).UTC()}

// written returns a file that holds a stream.
func written(t testing.TB, stream []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := snapshotfile.NewWriter(&out, header)
	if err != nil {
		t.Fatal(err)
	}
	for part := stream; len(part) > 0; part = part[min(len(part), 1000):] {
		if _, err := w.Write(part[:min(len(part), 1000)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readAll(from io.Reader) ([]byte, error) {
	r, err := snapshotfile.NewReader(from)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func verify(file []byte) error {
	_, err := snapshotfile.Verify(bytes.NewReader(file))
	return err
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	for i, source := 0, rand.New(rand.NewPCG(1, 2)); i < n; i++ {
		b[i] = byte(source.Uint32())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for name, stream := range map[string][]byte{
		"nothing":         nil,
		"a little":        []byte("value"),
		"one block":       noise(256 << 10),
		"a byte more":     noise(256<<10 + 1),
		"what compresses": bytes.Repeat([]byte("pod"), 1<<20),
		"what does not":   noise(1 << 20),
		"both":            append(noise(300<<10), make([]byte, 1<<20)...),
	} {
		t.Run(name, func(t *testing.T) {
			file := written(t, stream)
			got, err := readAll(iotest.HalfReader(bytes.NewReader(file)))
			if err != nil || !bytes.Equal(got, stream) {
				t.Errorf("read %d of %d bytes, %v", len(got), len(stream), err)
			}
			about, err := snapshotfile.Verify(bytes.NewReader(file))
			if err != nil || about != header {
				t.Errorf("verified %+v, %v", about, err)
			}
		})
	}
}

// small is a file of two blocks, small enough to hurt each of its bytes.
func small(t testing.TB) (file, stream []byte) {
	stream = append(bytes.Repeat([]byte("abcdefgh"), 32<<10), noise(200)...)
	return written(t, stream), stream
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	file, stream := small(t)
	for at := range file {
		for _, bits := range []byte{0x01, 0x80, 0xff} {
			file[at] ^= bits
			got, err := readAll(bytes.NewReader(file))
			if !errors.Is(err, snapshotfile.ErrDamaged) || !strings.Contains(err.Error(), "block at offset ") {
				t.Errorf("byte %d of %d ^ %#x was read as %v", at, len(file), bits, err)
			}
			if !bytes.HasPrefix(stream, got) {
				t.Errorf("byte %d of %d ^ %#x: other bytes than were written came out", at, len(file), bits)
			}
			if err := verify(file); !errors.Is(err, snapshotfile.ErrDamaged) {
				t.Errorf("byte %d of %d ^ %#x was verified with %v", at, len(file), bits, err)
			}
			file[at] ^= bits
		}
	}
	if err := verify(file); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCutIsFound(t *testing.T) {
	file, _ := small(t)
	for cut := range file {
		if _, err := readAll(bytes.NewReader(file[:cut])); !errors.Is(err, snapshotfile.ErrDamaged) {
			t.Errorf("cut at %d of %d: %v", cut, len(file), err)
		}
		if err := verify(file[:cut]); !errors.Is(err, snapshotfile.ErrDamaged) {
			t.Errorf("cut at %d of %d was verified with %v", cut, len(file), err)
		}
	}
	if err := verify(append(file, 0)); !errors.Is(err, snapshotfile.ErrDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

// Blocks that are each as it was written, but not in this place.
func TestExchangedBlocksAreFound(t *testing.T) {
	block := func(fill byte) []byte { return bytes.Repeat([]byte{fill}, 256<<10) }
	file := written(t, append(block('a'), block('b')...))
	exchanged := written(t, append(block('b'), block('a')...))
	end := bytes.LastIndex(file, []byte(`{"entries"`))
	if len(file) != len(exchanged) {
		t.Fatalf("files of %d and %d bytes", len(file), len(exchanged))
	}
	copy(exchanged[end-13:], file[end-13:])
	if err := verify(exchanged); !errors.Is(err, snapshotfile.ErrDamaged) || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("verified with %v", err)
	}
}

// An error of the disk is no damage: the file may be sound.
func TestErrorOfTheDiskIsNoDamage(t *testing.T) {
	file, _ := small(t)
	broken := errors.New("input/output error")
	_, err := readAll(io.MultiReader(bytes.NewReader(file[:200]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, snapshotfile.ErrDamaged) {
		t.Errorf("read with %v", err)
	}
}

func TestFullDiskIsToldByClose(t *testing.T) {
	full := errors.New("no space left on device")
	w, err := snapshotfile.NewWriter(&limited{room: 300, err: full}, header)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(noise(1 << 20))
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("closed with %v", err)
	}
}

type limited struct {
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, l.err
	}
	return len(p), nil
}

func TestStarts(t *testing.T) {
	file, _ := small(t)
	for _, c := range []struct {
		with         []byte
		framed, bare bool
	}{
		{file, true, false},
		{file[:4], true, false},
		{[]byte{6, 8, 1, 16, 5}, false, true},
		{[]byte("another file"), false, false},
	} {
		if framed, bare := snapshotfile.Starts(c.with); framed != c.framed || bare != c.bare {
			t.Errorf("%.8q: framed %v, bare %v", c.with, framed, bare)
		}
	}
}
