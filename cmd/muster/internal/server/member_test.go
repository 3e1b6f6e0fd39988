package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/join"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func TestStanding(t *testing.T) {
	entry := func(id string, leads bool) *clusterv1.Member {
		return &clusterv1.Member{Id: id, RaftAddress: id + ":6444", ApiAddress: id + ":6442", Leader: leads}
	}
	a, leader, c := entry("a", false), entry("b", true), entry("c", false)
	for name, test := range map[string]struct {
		members []*clusterv1.Member
		from    string
		address string
		want    int
	}{
		"a member":                     {[]*clusterv1.Member{a, leader, c}, "b:6442", "c:6444", member},
		"at another address":           {[]*clusterv1.Member{a, leader, c}, "b:6442", "d:6444", moved},
		"removed":                      {[]*clusterv1.Member{a, leader}, "b:6442", "c:6444", removed},
		"a follower lags":              {[]*clusterv1.Member{a, leader}, "a:6442", "c:6444", unsettled},
		"there is no leader":           {[]*clusterv1.Member{a}, "a:6442", "c:6444", unsettled},
		"one that is no member itself": {nil, "a:6442", "c:6444", unsettled},
	} {
		t.Run(name, func(t *testing.T) {
			if got := standing(test.members, test.from, "c", test.address); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// A server notes that it has a log, and does not start without it from then on.
func TestCheckLog(t *testing.T) {
	dir := t.TempDir()
	s := &controlPlane{
		config:     Config{Identity: Identity{DataDir: dir}},
		membership: join.Membership{Name: "s1", ClusterID: "c", GossipKey: make([]byte, 32), Bootstrap: true},
	}
	if err := s.checkLog(); err != nil {
		t.Errorf("a new server: %v", err)
	}
	if err := s.began(); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.membership, err = join.LoadMembership(dir); err != nil || !s.membership.Bootstrap || s.membership.Entered {
		t.Fatalf("noted %+v, %v", s.membership, err)
	}
	raft := filepath.Join(dir, "raft")
	for _, made := range []string{"", raft} {
		if made != "" {
			if err := os.Mkdir(made, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.checkLog(); err == nil || !strings.Contains(err.Error(), raft+" holds none") || !strings.Contains(err.Error(), "muster members remove s1") {
			t.Errorf("without a log: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(raft, "member.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.checkLog(); err != nil {
		t.Errorf("with one: %v", err)
	}
	if err := s.entered(); err != nil || s.membership.Bootstrap || !s.membership.Entered {
		t.Errorf("entered: %+v, %v", s.membership, err)
	}
}
