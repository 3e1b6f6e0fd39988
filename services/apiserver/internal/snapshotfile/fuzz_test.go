package snapshotfile_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
)

// Whatever a file holds, it is damaged or it can be read to its end, as Verify says.
func FuzzReader(f *testing.F) {
	file, _ := small(f)
	f.Add(file)
	f.Add(written(f, nil))
	f.Add(file[:len(file)-1])
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := readAll(bytes.NewReader(file))
		if err != nil && !errors.Is(err, snapshotfile.ErrDamaged) {
			t.Errorf("not told as damage: %v", err)
		}
		// Verify unpacks nothing, so it may take what cannot be unpacked.
		if verified := verify(file); err == nil && verified != nil {
			t.Errorf("read, but not verified: %v", verified)
		}
	})
}
