package replica

import "testing"

func TestVacancy(t *testing.T) {
	after := reign{id: "a", address: "a:1", term: 7}
	for name, test := range map[string]struct {
		now    reign
		voted  uint64
		vacant bool
	}{
		"nobody has noticed":                     {after, 7, true},
		"another leads":                          {reign{id: "b", address: "b:1", term: 8}, 7, false},
		"it leads again":                         {reign{id: "a", address: "a:1", term: 8}, 7, false},
		"a candidate has this member's vote":     {reign{term: 8}, 8, false},
		"a candidate was refused by this member": {reign{term: 8}, 7, true},
		"its heartbeats were missed":             {reign{term: 7}, 7, false},
	} {
		if got := test.now.vacant(after, test.voted); got != test.vacant {
			t.Errorf("%s: vacant is %v", name, got)
		}
	}
}
