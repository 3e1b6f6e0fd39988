package replica_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// Of a directory that was in use, member.json may be all that is left: what the
// member acknowledged and voted for is lost with the rest.
func TestOnlyTheIdentityIsLeft(t *testing.T) {
	full := t.TempDir()
	fill(t, full, 5, replica.Timing{})
	silent := t.TempDir()
	waits := onDisk(t, silent)
	waits.Bootstrap = false // it may vote before it has an entry
	if err := run(t, waits).halt(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir  string
		lost []string
	}{
		"after writes":        {full, []string{"log", "log.mark", "snapshots"}},
		"before any entry":    {silent, []string{"log", "log.mark", "snapshots"}},
		"before any, no log":  {silent, []string{"log"}},
		"before any, no mark": {silent, []string{"log.mark"}},
	} {
		t.Run(name, func(t *testing.T) {
			hurt := copyDir(t, test.dir)
			for _, name := range test.lost {
				if err := os.RemoveAll(filepath.Join(hurt, name)); err != nil {
					t.Fatal(err)
				}
			}
			err := reopen(t, onDisk(t, hurt))
			if !errors.Is(err, replica.ErrDamaged) || !strings.Contains(err.Error(), hurt) || !strings.Contains(err.Error(), "join it anew") {
				t.Errorf("opened with %v", err)
			}
		})
	}
}

// A process may end at any step of making its directory; the next one goes on.
func TestDirectoryMadeByHalf(t *testing.T) {
	whole := t.TempDir()
	fill(t, whole, 0, replica.Timing{})
	identity, err := os.ReadFile(filepath.Join(whole, "member.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, made := range map[string]map[string][]byte{
		"the directory":          {},
		"the mark too":           {"log.mark": nil},
		"the identity too":       {"log.mark": nil, "member.json": identity},
		"a temporary file of it": {"log.mark": nil, "member.json.1.tmp": identity[:9]},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range made {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := reopen(t, onDisk(t, dir)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Old data of a server whose name has joined again elsewhere must not draw the
// member to itself; a member that moved may.
func TestMemberMovesOnlyWhenItsOldAddressIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		leader := c.leader(c.members...)
		member := c.without(leader)[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		elsewhere := c.network.listen("elsewhere")
		go accept(elsewhere)
		defer elsewhere.Close()
		if err := leader.AddVoter(ctx, member.id, "elsewhere"); err == nil || !strings.Contains(err.Error(), "answers at "+member.id) {
			t.Errorf("a member that answers was moved: %v", err)
		}
		c.network.setCut(member.id, true)
		// hashicorp/raft does not expect that a member moves in the midst of a stream to it.
		time.Sleep(10 * time.Second)
		if err := leader.AddVoter(ctx, member.id, "elsewhere"); err != nil {
			t.Errorf("a member that is silent was not moved: %v", err)
		}
		c.network.setCut(member.id, false)
		c.stop()
	})
}

// accept takes connections and says nothing.
func accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
	}
}
