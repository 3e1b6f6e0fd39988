package cluster

import (
	"strings"
	"testing"
	"time"
)

// Who is removed, of voters a, b, c, ... and a non-voter z.
func TestReplaced(t *testing.T) {
	const after = 10 * time.Minute
	for _, test := range []struct {
		voters string
		silent map[string]time.Duration
		after  time.Duration
		want   string
	}{
		{"abcd", map[string]time.Duration{"b": after}, after, "b"},
		{"abcd", map[string]time.Duration{"b": after - 1}, after, ""},
		{"abcd", map[string]time.Duration{"b": 10 * after}, 0, ""},
		{"abcd", nil, after, ""},
		// Of an odd number the majority would stay as large as it is.
		{"abc", map[string]time.Duration{"b": after}, after, ""},
		{"abcde", map[string]time.Duration{"b": after, "c": after}, after, ""},
		// The longest silence goes first; the next waits for one more to join.
		{"abcdef", map[string]time.Duration{"b": after, "c": 2 * after}, after, "c"},
		// Those that answer are no majority of the rest.
		{"abcd", map[string]time.Duration{"b": after, "c": after, "d": 1}, after, ""},
		{"ab", map[string]time.Duration{"a": after, "b": after}, after, ""},
		// A non-voter counts for nothing.
		{"abcd", map[string]time.Duration{"z": after}, after, ""},
		{"abc", map[string]time.Duration{"z": after, "b": after}, after, ""},
	} {
		members := []RaftMember{{ID: "z"}}
		for id := range strings.SplitSeq(test.voters, "") {
			members = append(members, RaftMember{ID: id, Voter: true})
		}
		got, ok := replaced(members, test.silent, test.after)
		if !ok {
			got = ""
		}
		if got != test.want {
			t.Errorf("of %s, silent %v for more than %v: removed %q, want %q", test.voters, test.silent, test.after, got, test.want)
		}
	}
}
