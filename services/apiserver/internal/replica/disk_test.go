package replica_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// onDisk is the configuration of a single member with a directory.
func onDisk(t testing.TB, dir string) replica.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return replica.Config{ID: "m1", ClusterID: "c", Dir: dir, Bootstrap: true, Listener: listener}
}

// fill runs a member on a directory, writes to it and stops it.
func fill(t testing.TB, dir string, writes int, timing replica.Timing) {
	t.Helper()
	config := onDisk(t, dir)
	config.Timing = timing
	m := run(t, config)
	for i := range writes {
		m.write(t, put(fmt.Sprintf("pod-%04d", i), strings.Repeat("v", 100)))
	}
	if timing.SnapshotThreshold > 0 {
		waitFor(t, "snapshot", func() bool {
			written, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*[0-9]", "state.snap"))
			return len(written) > 0
		})
	}
	if err := m.halt(); err != nil {
		t.Fatal(err)
	}
}

// reopen opens a directory that is expected to be refused.
func reopen(t testing.TB, config replica.Config) error {
	t.Helper()
	config.Store, config.Logger = state.New(), logger()
	r, err := replica.Open(config)
	_ = config.Listener.Close()
	if err == nil {
		r.Close()
	}
	return err
}

func TestRestart(t *testing.T) {
	for name, timing := range map[string]replica.Timing{
		"log only":     {},
		"and snapshot": {SnapshotInterval: 20 * time.Millisecond, SnapshotThreshold: 8, TrailingLogs: 4},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 50, timing)
			for round := range 3 {
				m := run(t, onDisk(t, dir))
				if got := m.read(t, "pod-0049"); len(got) != 100 {
					t.Fatalf("round %d: read %q", round, got)
				}
				if n := m.Store().View().Revision(); n != uint64(50+round) {
					t.Fatalf("round %d: revision %d", round, n)
				}
				m.write(t, put("pod-0000", fmt.Sprint(round)))
				if err := m.halt(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, replica.Timing{})
	other := onDisk(t, dir)
	other.ClusterID = "another"
	err := reopen(t, other)
	if !errors.Is(err, replica.ErrForeignData) {
		t.Fatalf("another cluster's directory: %v", err)
	}
	for _, part := range []string{dir, `"c"`, `"another"`, "give it another directory"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %s", err, part)
		}
	}
	other = onDisk(t, dir)
	other.ID = "m2"
	if err := reopen(t, other); !errors.Is(err, replica.ErrForeignData) {
		t.Fatalf("another member's directory: %v", err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	m := run(t, onDisk(t, dir))
	if err := reopen(t, onDisk(t, dir)); !errors.Is(err, replica.ErrInUse) {
		t.Errorf("a directory was opened twice: %v", err)
	}
	if err := m.halt(); err != nil {
		t.Fatal(err)
	}
}

// find returns the files below dir that match.
func find(t testing.TB, dir, pattern string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if ok, _ := filepath.Match(pattern, filepath.Base(path)); ok {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	return found
}

// copyDir copies a data directory, to be damaged. Of segments it copies what is
// used: they are allocated far beyond.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".wal" {
			content = bytes.TrimRight(content, "\x00")
			content = append(content, make([]byte, 4096)...)
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// entryOf returns the log entry that a snapshot's file reaches, or 0.
func entryOf(path string) (index int) {
	_, _ = fmt.Sscanf(filepath.Base(filepath.Dir(path)), "%d-%d-", new(int), &index)
	return index
}

func flip(t testing.TB, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x55
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedByteInTheLog flips bytes all over the used part of the log, in the
// frames' headers, the entries and the last commit. Each must be found, or be of
// no consequence: the entries are all there.
func TestFlippedByteInTheLog(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 20, replica.Timing{})
	segment := find(t, dir, "*.wal")[0]
	raw, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(raw, "\x00"))
	small := copyDir(t, dir)
	refused := 0
	for at := 0; at < used; at += 29 {
		hurt := copyDir(t, small)
		flip(t, find(t, hurt, "*.wal")[0], at)
		config := onDisk(t, hurt)
		config.Store = state.New()
		config.Timing = replica.Timing{Heartbeat: 20 * time.Millisecond, Election: 20 * time.Millisecond, Lease: 20 * time.Millisecond}
		r, err := replica.Open(config)
		switch {
		case errors.Is(err, replica.ErrDamaged):
			refused++
			_ = config.Listener.Close()
		case err != nil:
			t.Errorf("byte %d of %d: refused with %v", at, used, err)
		default:
			waitFor(t, "replay", func() bool { return r.IsLeader() && config.Store.View().Revision() >= 20 })
			if n := config.Store.View().Count("pods", ""); n != 20 {
				t.Errorf("byte %d of %d: opened with %d of 20 entries", at, used, n)
			}
			r.Close()
		}
	}
	if refused < used/29/2 {
		t.Errorf("only %d of %d flipped bytes were found", refused, used/29)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestDamagedDirectory(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 50, replica.Timing{SnapshotInterval: 20 * time.Millisecond, SnapshotThreshold: 8, TrailingLogs: 4})
	newest := func(t testing.TB, dir, file string) string {
		return slices.MaxFunc(find(t, dir, file), func(a, b string) int { return cmp.Compare(entryOf(a), entryOf(b)) })
	}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"snapshot body": func(t *testing.T, dir string) { flip(t, newest(t, dir, "state.snap"), 100) },
		"snapshot meta": func(t *testing.T, dir string) { flip(t, newest(t, dir, "meta.json"), 0) },
		"snapshot index": func(t *testing.T, dir string) {
			meta := newest(t, dir, "meta.json")
			raw, _ := os.ReadFile(meta)
			flip(t, meta, bytes.Index(raw, []byte(`"Index":`))+8)
		},
		"snapshot is gone": func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Join(dir, "snapshots")) },
		"log mark":         func(t *testing.T, dir string) { flip(t, newest(t, dir, "log.mark"), 2) },
		"log mark is gone": func(t *testing.T, dir string) { _ = os.Remove(newest(t, dir, "log.mark")) },
		"log is gone":      func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Join(dir, "log")) },
		"segment is gone":  func(t *testing.T, dir string) { _ = os.Remove(newest(t, dir, "*.wal")) },
		"segment is cut":   func(t *testing.T, dir string) { _ = os.Truncate(newest(t, dir, "*.wal"), 300) },
		"log database":     func(t *testing.T, dir string) { _ = os.Truncate(newest(t, dir, "wal-meta.db"), 5000) },
		"no log database":  func(t *testing.T, dir string) { _ = os.Remove(newest(t, dir, "wal-meta.db")) },
		"identity":         func(t *testing.T, dir string) { flip(t, newest(t, dir, "member.json"), 20) },
		"identity is gone": func(t *testing.T, dir string) { _ = os.Remove(newest(t, dir, "member.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			hurt := copyDir(t, dir)
			damage(t, hurt)
			err := reopen(t, onDisk(t, hurt))
			if !errors.Is(err, replica.ErrDamaged) {
				t.Fatalf("opened with %v", err)
			}
			if !strings.Contains(err.Error(), hurt) || !strings.Contains(err.Error(), "backup") {
				t.Errorf("%q does not say which file and what to do", err)
			}
		})
	}
}

// TestDamageWhileRunning hurts the log of a member that runs, and then has it read
// the log for a new member. The member must stop and say why.
func TestDamageWhileRunning(t *testing.T) {
	dir := t.TempDir()
	m := run(t, onDisk(t, dir))
	for i := range 100 { // more than are kept in memory
		m.write(t, put(fmt.Sprint(i), strings.Repeat("v", 100)))
	}
	segment, err := os.OpenFile(find(t, dir, "*.wal")[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer segment.Close()
	if _, err := segment.WriteAt([]byte("damage"), 2000); err != nil {
		t.Fatal(err)
	}
	joiner := onDisk(t, t.TempDir())
	joiner.ID, joiner.Bootstrap = "m2", false
	j := run(t, joiner)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { _ = m.AddVoter(ctx, "m2", joiner.Listener.Addr().String()) }()
	select {
	case err := <-m.done:
		if !errors.Is(err, replica.ErrDamaged) || !strings.Contains(err.Error(), "log entry") {
			t.Errorf("the member ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("the member goes on with a damaged log")
		_ = m.halt()
	}
	cancel()
	if err := j.halt(); err != nil {
		t.Error(err)
	}
}

// TestThreeMembersOverTLS is the real thing: certificates, loopback, disks, a
// member that restarts, and a stranger who is kept out.
func TestThreeMembersOverTLS(t *testing.T) {
	authority, err := pki.NewCA("c")
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	addresses := make([]string, 3)
	start := func(i int) *member {
		id := fmt.Sprintf("m%d", i+1)
		config := onDisk(t, dirs[i])
		if addresses[i] != "" {
			_ = config.Listener.Close()
			if config.Listener, err = net.Listen("tcp", addresses[i]); err != nil {
				t.Fatal(err)
			}
		}
		addresses[i] = config.Listener.Addr().String()
		config.ID, config.Bootstrap = id, i == 0
		config.ServerTLS = peerTLS(t, authority, pki.Identity{User: "muster:server:" + id, Groups: []string{"muster:servers"}})
		config.ClientTLS = config.ServerTLS
		return run(t, config)
	}
	c := &cluster{t: t}
	for i := range 3 {
		c.members = append(c.members, start(i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i, m := range c.members[1:] {
		if err := c.members[0].AddVoter(ctx, m.id, addresses[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		c.members[i%3].write(t, put(fmt.Sprint(i), "v"))
	}
	stranger := peerTLS(t, authority, pki.Identity{User: "system:node:n1", Groups: []string{"system:nodes"}}).Clone()
	stranger.NextProtos = []string{"h2"}
	if accepted(addresses[0], stranger) {
		t.Error("a node's certificate opened the servers' port")
	}
	leader := c.leader(c.members...)
	i := slices.Index(c.members, leader)
	if err := leader.halt(); err != nil {
		t.Fatal(err)
	}
	c.without(leader)[0].write(t, put("while away", "v"))
	c.members[i] = start(i)
	sameState(t, c.members...)
	c.stop()
}

func peerTLS(t testing.TB, authority *pki.CA, id pki.Identity) *tls.Config {
	t.Helper()
	cert, key, err := authority.Issue(id, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(cert, key, authority.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return pair.PeerTLS(pki.IsServer)
}

// accepted tells whether a server goes on talking after the handshake.
func accepted(address string, config *tls.Config) bool {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}
