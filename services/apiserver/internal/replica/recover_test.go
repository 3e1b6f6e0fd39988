package replica_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// secured is members on disk that know each other by certificates, as only those
// can tell a member of the past from a stranger.
type secured struct {
	*cluster
	authority *pki.CA
	dirs      map[string]string
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	authority, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{cluster: &cluster{t: t, network: newNetwork()}, authority: authority, dirs: map[string]string{}}
	for i := range 3 {
		s.members = append(s.members, s.start(fmt.Sprintf("m%d", i+1), func(c *replica.Config) { c.Bootstrap = i == 0 }))
	}
	s.join()
	return s
}

// start starts a member with the data that it has, or with an empty directory.
func (s *secured) start(id string, changes ...func(*replica.Config)) *member {
	s.t.Helper()
	if s.dirs[id] == "" {
		s.dirs[id] = s.t.TempDir()
	}
	peers := peerTLS(s.t, s.authority, pki.ServerIdentity(id))
	config := replica.Config{
		ID: id, ClusterID: "c", Dir: s.dirs[id], ServerTLS: peers, ClientTLS: peers,
		Listener: s.network.listen(id), Dial: s.network.dialer(id),
	}
	for _, change := range changes {
		change(&config)
	}
	return run(s.t, config)
}

// stopped is the configuration to recover a member with.
func (s *secured) stopped(id string) replica.Config {
	return replica.Config{ID: id, ClusterID: "c", Dir: s.dirs[id]}
}

// lose stops all members, and recovers the first.
func (s *secured) lose() replica.Remains {
	s.t.Helper()
	s.stop()
	s.members = nil
	remains, err := replica.Recover(s.stopped("m1"), filepath.Join(s.t.TempDir(), "backup"))
	if err != nil {
		s.t.Fatal(err)
	}
	return remains
}

// superseded waits until a member has ended because the cluster was recovered.
func superseded(t *testing.T, m *member) {
	t.Helper()
	select {
	case err := <-m.done:
		if !errors.Is(err, replica.ErrSuperseded) || !strings.Contains(err.Error(), "join again") {
			t.Errorf("%s ended with %v", m.id, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s goes on", m.id)
		_ = m.halt()
	}
}

func TestInspectAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSecured(t)
		s.members[0].write(t, put("x", "1"))
		if _, err := replica.Inspect(s.stopped("m1")); !errors.Is(err, replica.ErrInUse) {
			t.Errorf("inspect a member that runs: %v", err)
		}
		if _, err := replica.Recover(s.stopped("m1"), filepath.Join(t.TempDir(), "b")); !errors.Is(err, replica.ErrInUse) {
			t.Errorf("recover a member that runs: %v", err)
		}
		empty := replica.Config{ID: "m1", ClusterID: "c", Dir: t.TempDir()}
		if _, err := replica.Recover(empty, filepath.Join(t.TempDir(), "b")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("recover nothing: %v", err)
		}
		if left, _ := os.ReadDir(empty.Dir); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
		s.stop()
		before, err := replica.Inspect(s.stopped("m1"))
		if err != nil || len(before.Members) != 3 || before.Epoch != 0 || before.LastIndex == 0 || before.LastTerm == 0 {
			t.Errorf("inspected %+v, %v", before, err)
		}
		taken := t.TempDir()
		if _, err := replica.Recover(s.stopped("m1"), taken); !errors.Is(err, os.ErrExist) {
			t.Errorf("a backup over another one: %v", err)
		}
		if after, err := replica.Inspect(s.stopped("m1")); err != nil || after.Epoch != 0 {
			t.Errorf("a recovery that was refused left %+v, %v", after, err)
		}
		backup := filepath.Join(t.TempDir(), "backup")
		got, err := replica.Recover(s.stopped("m1"), backup)
		if err != nil || got.Epoch != 1 || got.LastIndex != before.LastIndex {
			t.Fatalf("recovered %+v, %v", got, err)
		}
		if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the backup is %v, %v", info, err)
		}
		after, err := replica.Inspect(s.stopped("m1"))
		if err != nil || len(after.Members) != 1 || after.Epoch != 1 || after.LastIndex != before.LastIndex {
			t.Errorf("afterwards %+v, %v", after, err)
		}
		// The copy is what was there before, and whole.
		saved, err := replica.Inspect(replica.Config{ID: "m1", ClusterID: "c", Dir: backup})
		if err != nil || len(saved.Members) != 3 || saved.Epoch != 0 || saved.LastIndex != before.LastIndex {
			t.Errorf("the backup holds %+v, %v", saved, err)
		}
	})
}

// The other members of before hold a majority of the old cluster. They must not
// go on with it, whether the one that was recovered runs before them or after.
func TestRecoveredClusterIsTheOnlyOne(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("recovered one first %v", first), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSecured(t)
				s.members[0].write(t, put("x", "1"))
				sameState(t, s.members...)
				seen := s.members[1].Store().View().Revision()
				s.lose()
				var alone *member
				if first {
					alone = s.start("m1")
					alone.write(t, put("x", "2"))
				}
				old := []*member{s.start("m2"), s.start("m3")}
				if !first {
					s.leader(old...)
					alone = s.start("m1")
				}
				for _, m := range old {
					superseded(t, m)
				}
				alone.write(t, put("y", "1"))
				if got := alone.read(t, "x"); got != map[bool]string{true: "2", false: "1"}[first] {
					t.Errorf("x is %q", got)
				}
				if now := alone.Store().View().Revision(); now < seen+1<<30 {
					t.Errorf("revision %d may be one that was seen before, up to %d", now, seen)
				}
				s.rejoin(t, alone)
			})
		})
	}
}

// rejoin has another server join the one that was recovered, and restarts that.
func (s *secured) rejoin(t *testing.T, alone *member) {
	t.Helper()
	if alone.Epoch() != 1 || len(alone.Members()) != 1 {
		t.Errorf("epoch %d with %v", alone.Epoch(), alone.Members())
	}
	// One that was told the cluster's epoch before the recovery is a stranger too.
	s.dirs["m4"] = ""
	late := s.start("m4")
	if err := alone.AddVoter(t.Context(), "m4", "m4"); err == nil || !strings.Contains(err.Error(), "before it was recovered") {
		t.Errorf("a server of the epoch before: %v", err)
	}
	superseded(t, late)
	s.dirs["m4"] = ""
	anew := s.start("m4", func(c *replica.Config) { c.Epoch = 1 })
	if err := alone.AddVoter(t.Context(), "m4", "m4"); err != nil {
		t.Error(err)
	}
	if got := anew.read(t, "y"); got != "1" {
		t.Errorf("the new server reads %q", got)
	}
	if err := alone.halt(); err != nil {
		t.Error(err)
	}
	alone = s.start("m1")
	alone.write(t, put("z", "1"))
	sameState(t, alone, anew)
	for _, m := range []*member{alone, anew} {
		if err := m.halt(); err != nil {
			t.Error(err)
		}
	}
}

// A crash between the two steps of a recovery leaves a member that waits, and can
// be recovered again.
func TestRecoverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSecured(t)
		s.members[0].write(t, put("x", "1"))
		s.lose()
		time.Sleep(time.Second) // snapshots are named by the time
		if got, err := replica.Recover(s.stopped("m1"), filepath.Join(t.TempDir(), "again")); err != nil || got.Epoch != 2 {
			t.Errorf("again: %+v, %v", got, err)
		}
		alone := s.start("m1")
		if got := alone.read(t, "x"); got != "1" {
			t.Errorf("x is %q", got)
		}
		if err := alone.halt(); err != nil {
			t.Error(err)
		}
	})
}
