package replica

import (
	"errors"
	"slices"
	"strings"
	"testing"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func TestSurvey(t *testing.T) {
	const room, full, silent = "room", "full", "silent"
	for name, c := range map[string]struct {
		voters  []string // m1, which leads, m2, ...
		crowded []string
		heir    string
	}{
		"all have room":                          {[]string{room, room, room}, nil, ""},
		"a follower is full":                     {[]string{room, full, room}, nil, ""},
		"a follower is silent":                   {[]string{room, silent, room}, nil, ""},
		"a majority is silent":                   {[]string{room, silent, silent}, nil, ""},
		"the leader is full":                     {[]string{full, room, room}, []string{"m1"}, "m2"},
		"the leader is full, the next is silent": {[]string{full, silent, room, room}, []string{"m1"}, ""},
		"of five two are full":                   {[]string{full, full, room, room, room}, []string{"m1", "m2"}, "m3"},
		"both followers are full":                {[]string{room, full, full}, []string{"m2", "m3"}, ""},
		"one is full and one silent":             {[]string{room, full, silent}, []string{"m2"}, ""},
		"one has room":                           {[]string{full, full, room}, []string{"m1", "m2"}, ""},
		"all are full":                           {[]string{full, full, full}, []string{"m1", "m2", "m3"}, ""},
		"alone, and full":                        {[]string{full}, []string{"m1"}, ""},
		"alone":                                  {[]string{room}, nil, ""},
	} {
		var voters []Member
		found := map[string]*clusterv1.StatusResponse{}
		for i, v := range c.voters {
			id := "m" + string(rune('1'+i))
			voters = append(voters, Member{ID: id, Voter: true})
			if v != silent {
				found[id] = &clusterv1.StatusResponse{DiskFull: v == full}
			}
		}
		if crowded, heir := survey("m1", voters, found); !slices.Equal(crowded, c.crowded) || heir != c.heir {
			t.Errorf("%s: %v, and %q is the heir", name, crowded, heir)
		}
	}
}

// What a leader refuses for want of room is the same error on the member that
// forwarded it, and says the same.
func TestRefusalForRoomIsForwarded(t *testing.T) {
	reason := "less than 96 MiB are left"
	m := &room{}
	if m.refusal() != nil {
		t.Error("refused for no reason")
	}
	m.reason.Store(&reason)
	here := m.refusal()
	there := asStatus(here)
	for _, err := range []error{here, there} {
		if !refusedForRoom(err) || !errors.Is(diskFull(err), ErrDiskFull) || diskFull(err).Error() != here.Error() || !strings.Contains(here.Error(), reason) {
			t.Errorf("%v became %v", err, diskFull(err))
		}
	}
	for _, err := range []error{errNotLeader, asStatus(errNotLeader), asStatus(ErrDamaged)} {
		if refusedForRoom(err) {
			t.Errorf("%v is taken for a want of room", err)
		}
	}
}
