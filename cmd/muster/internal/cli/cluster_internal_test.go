package cli

import (
	"bytes"
	"strings"
	"testing"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// Without a leader kubectl hangs, and this list is where one looks for why.
func TestMembersSayWhenNoneLeads(t *testing.T) {
	for _, led := range []bool{true, false} {
		var out bytes.Buffer
		members := []*clusterv1.Member{{Id: "s1", Voter: true, Leader: led}, {Id: "s2", Voter: true}}
		if err := tellMembers(&out, members); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "No server leads") == led {
			t.Errorf("led %v:\n%s", led, &out)
		}
	}
}
