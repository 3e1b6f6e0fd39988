package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

var quiet = slog.New(slog.DiscardHandler)

// stateOf returns a state of some entries, after as many log entries.
func stateOf(entries int) *state.Store {
	s := state.New()
	for i := range entries {
		s.Apply(uint64(i+1), &storev1.Command{Transactions: []*storev1.Transaction{{
			Id: fmt.Appendf(nil, "transaction %d", i),
			Operations: []*storev1.Operation{{
				Key:    &storev1.Key{Resource: "pods", Namespace: "a", Name: fmt.Sprint(i)},
				Action: storev1.Action_ACTION_PUT, Value: []byte("value"),
			}},
		}}})
	}
	return s
}

// persist adds the snapshot of a state to a store, and returns its directory.
func persist(t testing.TB, s *snapshots, entries int) string {
	t.Helper()
	k := begin(t, s, entries)
	if err := (image{stateOf(entries).Image()}).Persist(k); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(s.dir, k.ID())
}

func begin(t testing.TB, s *snapshots, index int) raft.SnapshotSink {
	t.Helper()
	members := raft.Configuration{Servers: []raft.Server{{ID: "m1", Address: "10.0.0.1:6444"}}}
	k, err := s.Create(1, uint64(index), 1, members, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func opened(t testing.TB, dir string) *snapshots {
	t.Helper()
	s, err := openSnapshots(dir, quiet, func(err error) { t.Errorf("damage: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// restoredFrom returns how many entries the snapshot that Raft would start from
// has, or 0 if there is none.
func restoredFrom(t testing.TB, s *snapshots) int {
	t.Helper()
	listed, err := s.List()
	if err != nil || len(listed) == 0 {
		return 0
	}
	_, body, err := s.Open(listed[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(state.New(), nil, nil, func(uint64) error { return nil })
	if err := m.Restore(body); err != nil {
		t.Fatal(err)
	}
	return m.store.View().Count("pods", "")
}

func TestSnapshotsAreKeptNewestFirst(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	for n := range 4 {
		persist(t, s, n+1)
	}
	all, err := s.all()
	if err != nil || len(all) != snapshotsKept || all[0].Index != 4 || all[1].Index != 3 {
		t.Errorf("kept %+v, %v", all, err)
	}
	if n := restoredFrom(t, s); n != 4 {
		t.Errorf("the newest has %d entries", n)
	}
	// One that Raft was told of and that is gone is no damage.
	persist(t, s, 5)
	if _, _, err := s.Open(all[1].ID); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("opened one that is gone with %v", err)
	}
}

// Each byte of the newest snapshot is flipped, and it is cut at each length: both
// are found when the directory is opened, and named. The older one is no way out.
func TestEveryHurtByteOfASnapshotIsFound(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	persist(t, s, 2)
	newest := persist(t, s, 3)
	for _, name := range []string{metaFile, stateFile} {
		path := filepath.Join(newest, name)
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, at int, hurt []byte) {
			t.Helper()
			if err := os.WriteFile(path, hurt, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := openSnapshots(dir, quiet, nil)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %s %d of %d: opened with %v", name, what, at, len(sound), err)
			} else if what == "flipped" && name == stateFile && !strings.Contains(err.Error(), "block at offset ") {
				t.Errorf("%s: %s %d of %d: %q names no block", name, what, at, len(sound), err)
			}
		}
		for at := range sound {
			hurt := slices.Clone(sound)
			hurt[at] ^= 0x15
			check("flipped", at, hurt)
			check("cut at", at, sound[:at])
		}
		check("a byte after", len(sound), append(slices.Clone(sound), '\n'))
		if err := os.WriteFile(path, sound, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := restoredFrom(t, opened(t, dir)); n != 3 {
		t.Errorf("mended, it has %d entries", n)
	}
}

// What breaks while the member runs is found before it is sent or restored.
func TestDamageToASnapshotStopsTheMember(t *testing.T) {
	var told error
	s, err := openSnapshots(t.TempDir(), quiet, func(err error) { told = err })
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(persist(t, s, 3), stateFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Open(filepath.Base(filepath.Dir(path)))
	if !errors.Is(err, ErrDamaged) || !errors.Is(told, ErrDamaged) || !strings.Contains(told.Error(), path) {
		t.Errorf("opened with %v, told %v", err, told)
	}
}

// A leader's snapshot replaces nothing before it was found to be whole.
func TestDamagedSnapshotFromTheLeaderIsRefused(t *testing.T) {
	s := opened(t, t.TempDir())
	persist(t, s, 2)
	var sound bytes.Buffer
	image := stateOf(5).Image()
	if err := snapshotfile.Write(&sound, snapshotfile.Header{Entries: image.Entries()}, image.Write); err != nil {
		t.Fatal(err)
	}
	install := func(body []byte) error {
		k := begin(t, s, 5)
		if _, err := io.Copy(k, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		return k.Close()
	}
	for at := range sound.Len() {
		hurt := slices.Clone(sound.Bytes())
		hurt[at] ^= 0x40
		if err := install(hurt); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d of %d: installed with %v", at, sound.Len(), err)
		}
	}
	for _, short := range []int{0, 1, 100, sound.Len() - 1} {
		if err := install(sound.Bytes()[:short]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: installed with %v", short, sound.Len(), err)
		}
	}
	if n := restoredFrom(t, s); n != 2 {
		t.Errorf("there are %d entries now", n)
	}
	if err := install(sound.Bytes()); err != nil || restoredFrom(t, s) != 5 {
		t.Errorf("the sound one: %v", err)
	}
}

// A crash at any step leaves the snapshot of before, or the new one, and nothing
// of what was not finished.
func TestCrashWhileASnapshotIsWritten(t *testing.T) {
	made := t.TempDir()
	older := filepath.Base(persist(t, opened(t, made), 2))
	newer := filepath.Base(persist(t, opened(t, made), 3))
	content := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(made, newer, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	text, meta := content(stateFile), content(metaFile)
	type files = map[string][]byte
	for name, c := range map[string]struct {
		left    map[string]files // by directory
		entries int
	}{
		"directory made":          {map[string]files{newer + unfinish: {}}, 2},
		"state begun":             {map[string]files{newer + unfinish: {stateFile: nil}}, 2},
		"state written by half":   {map[string]files{newer + unfinish: {stateFile: text[:len(text)/2]}}, 2},
		"state written":           {map[string]files{newer + unfinish: {stateFile: text}}, 2},
		"meta begun":              {map[string]files{newer + unfinish: {stateFile: text, metaFile + ".1.tmp": meta[:9]}}, 2},
		"meta written":            {map[string]files{newer + unfinish: {stateFile: text, metaFile: meta}}, 2},
		"renamed":                 {map[string]files{newer: {stateFile: text, metaFile: meta}}, 3},
		"an old one to be reaped": {map[string]files{newer: {stateFile: text, metaFile: meta}, older + "0" + unfinish: {stateFile: text}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, older), os.DirFS(filepath.Join(made, older))); err != nil {
				t.Fatal(err)
			}
			for into, files := range c.left {
				if err := os.Mkdir(filepath.Join(dir, into), 0o700); err != nil {
					t.Fatal(err)
				}
				for name, raw := range files {
					if err := os.WriteFile(filepath.Join(dir, into, name), raw, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			s := opened(t, dir)
			if n := restoredFrom(t, s); n != c.entries {
				t.Errorf("started from %d entries, want %d", n, c.entries)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+unfinish)); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			persist(t, s, 4)
			if n := restoredFrom(t, opened(t, dir)); n != 4 {
				t.Errorf("after the next one there are %d entries", n)
			}
		})
	}
}

func TestCancelledSnapshotLeavesNothing(t *testing.T) {
	s := opened(t, t.TempDir())
	k := begin(t, s, 1)
	if _, err := k.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	if err := k.Cancel(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// What the version before wrote is read, and so is what a leader of it sends.
func TestSnapshotOfFormat1(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, snapshotsDir)
	old, err := raft.NewFileSnapshotStore(base, snapshotsKept, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("m1")
	members := raft.Configuration{Servers: []raft.Server{{ID: "m1", Address: "10.0.0.1:6444"}}}
	k, err := old.Create(1, 3, 1, members, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stateOf(3).Snapshot(k), k.Close()); err != nil {
		t.Fatal(err)
	}
	if n := restoredFrom(t, opened(t, dir)); n != 3 {
		t.Errorf("there are %d entries", n)
	}
	sent := begin(t, opened(t, dir), 4)
	if err := errors.Join(stateOf(4).Snapshot(sent), sent.Close()); err != nil {
		t.Fatal(err)
	}
	if n := restoredFrom(t, opened(t, dir)); n != 4 {
		t.Errorf("the leader's has %d entries", n)
	}
	path := filepath.Join(dir, sent.ID(), bareFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		hurt := slices.Clone(raw)
		hurt[at] ^= 1
		if err := os.WriteFile(path, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSnapshots(dir, quiet, nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d of %d: opened with %v", at, len(raw), err)
		}
	}
}
