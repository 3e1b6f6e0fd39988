package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/backup"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

var taken = time.Now().Add(-time.Hour).UTC()

func put(resource, name string) *storev1.Transaction {
	return &storev1.Transaction{Operations: []*storev1.Operation{{
		Key:    &storev1.Key{Resource: resource, Name: name},
		Action: storev1.Action_ACTION_PUT, Value: []byte("value of " + name),
	}}}
}

// saved returns the bytes of a backup: three nodes, a pod, a server and a token.
func saved(t testing.TB) []byte {
	t.Helper()
	s := state.New()
	for i, tx := range []*storev1.Transaction{
		put("nodes", "n1"), put("nodes", "n2"), put("nodes", "n3"), put("pods", "p"), put("_servers", "s1"), put("_tokens", "t"), put("nodes", "n1"),
	} {
		s.Apply(uint64(10+i), &storev1.Command{Transactions: []*storev1.Transaction{tx}})
	}
	image := s.View().Image()
	var out bytes.Buffer
	header := snapshotfile.Header{Cluster: "old", Server: "s1", Revision: image.Revision(), Index: image.Index(), Entries: image.Entries(), Time: taken}
	if err := snapshotfile.Write(&out, header, image.Write); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// parts returns a function that hands out content bit by bit, and then an error.
func parts(content []byte, last error) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(content) == 0 {
			return nil, last
		}
		n := min(len(content), 100)
		part := content[:n]
		content = content[n:]
		return part, nil
	}
}

func file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.snap")
	if _, err := backup.Save(path, parts(saved(t), io.EOF)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSaveAndInspect(t *testing.T) {
	path := file(t)
	got, err := backup.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{_servers 1 11} {_tokens 1 10} {nodes 3 33} {pods 1 10}]"
	if got.Cluster != "old" || got.Server != "s1" || !got.Time.Equal(taken) || got.Revision != 7 || got.Index != 16 || got.Objects() != 4 || fmt.Sprint(got.Resources) != want {
		t.Errorf("inspected %+v", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != got.Size || info.Mode() != 0o600 {
		t.Errorf("the file is %v of %d bytes, %v; %d were told", info.Mode(), info.Size(), err, got.Size)
	}
}

func TestSaveThatFailsKeepsTheFileOfBefore(t *testing.T) {
	path := file(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, gone := saved(t), errors.New("the server is gone")
	hurt := bytes.Clone(whole)
	hurt[len(hurt)/2] ^= 1
	for name, c := range map[string]struct {
		next func() ([]byte, error)
		want error
	}{
		"the server ends":      {parts(whole[:300], gone), gone},
		"it ends at once":      {parts(nil, gone), gone},
		"the stream ends":      {parts(whole[:300], io.EOF), snapshotfile.ErrDamaged},
		"a byte flips":         {parts(hurt, io.EOF), snapshotfile.ErrDamaged},
		"it ends before EOF":   {parts(whole, gone), gone},
		"something is no part": {parts(append(bytes.Clone(whole), 'x'), io.EOF), snapshotfile.ErrDamaged},
	} {
		if _, err := backup.Save(path, c.next); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := os.ReadFile(path)
	left, _ := os.ReadDir(filepath.Dir(path))
	if err != nil || !bytes.Equal(before, after) || len(left) != 1 {
		t.Errorf("the file is another, or not alone: %v, %v", err, left)
	}
}

func TestDamagedFileIsNotRestored(t *testing.T) {
	path := file(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range sound {
		hurt := bytes.Clone(sound)
		hurt[at] ^= 4
		if err := os.WriteFile(path, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(filepath.Dir(path), "data")
		for what, do := range map[string]func() error{
			"inspect": func() error { _, err := backup.Inspect(path); return err },
			"restore": func() error {
				_, err := backup.Restore(path, backup.Founder{Name: "s", ClusterID: "new", RaftAddress: "a:1", DataDir: dir})
				return err
			},
		} {
			if err := do(); !errors.Is(err, snapshotfile.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "offset") {
				t.Errorf("%s with byte %d of %d flipped: %v", what, at, len(sound), err)
			}
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("byte %d of %d flipped: something was made", at, len(sound))
		}
	}
}

// start runs a replica on a directory until the test ends or stop is called.
func start(t *testing.T, config replica.Config) (r *replica.Replica, stop func()) {
	t.Helper()
	config.Store, config.Logger = state.New(), slog.New(slog.DiscardHandler)
	r, err := replica.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A restored server leads a cluster of its own: with the objects as they were,
// without what was about the old servers, ahead of all that anybody saw.
func TestRestore(t *testing.T) {
	path, dir := file(t), t.TempDir()
	listen := func(address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	listener := listen("127.0.0.1:0")
	address := listener.Addr().String()
	restored, err := backup.Restore(path, backup.Founder{Name: "s", ClusterID: "new", RaftAddress: address, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if restored.Saved.Revision != 7 || restored.Revision < 1_000_000_000+3600*100_000 {
		t.Errorf("restored %+v", restored)
	}
	for round := range uint64(3) {
		r, stop := start(t, replica.Config{ID: "s", ClusterID: "new", Dir: filepath.Join(dir, "raft"), Listener: listener})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		view, err := r.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		check(t, view, restored.Revision+round)
		for _, after := range []uint64{1, 7, 8, 1000, restored.Revision - 1} {
			if _, err := r.Store().Watch("nodes", "", "", after); !errors.Is(err, state.ErrTooOld) {
				t.Errorf("a watch after %d: %v", after, err)
			}
		}
		result, err := r.Apply(ctx, put("pods", "new"))
		if err != nil || result.GetRevision() != restored.Revision+round+1 {
			t.Errorf("wrote %v, %v", result, err)
		}
		stop()
		listener = listen(address)
	}
	_ = listener.Close()
	if _, err := backup.Restore(path, backup.Founder{Name: "s", ClusterID: "old", RaftAddress: address, DataDir: t.TempDir()}); err == nil {
		t.Error("a cluster got the ID of the saved one")
	}
}

func check(t *testing.T, view state.View, revision uint64) {
	t.Helper()
	if view.Revision() != revision {
		t.Errorf("revision %d, want %d", view.Revision(), revision)
	}
	n1, _ := view.Get(state.Key{Resource: "nodes", Name: "n1"})
	if n1 == nil || n1.CreateRevision != 1 || n1.ModRevision != 7 || string(n1.Value()) != "value of n1" || view.Count("nodes", "") != 3 {
		t.Errorf("n1 is %+v, of %d nodes", n1, view.Count("nodes", ""))
	}
	if view.Count("_servers", "") != 0 || view.Count("_tokens", "") != 0 {
		t.Error("the old servers are known")
	}
}
