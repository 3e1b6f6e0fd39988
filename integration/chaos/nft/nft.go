// Package nft breaks links by rules of nftables in the members' network namespaces. A slow
// link is one that loses packets, which TCP sends again: not every kernel has netem.
package nft

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/musterhq/muster/integration/chaos"
)

// table is where a member's namespace drops what does not arrive. Adding it
// before it is deleted makes the deletion one that cannot fail.
const table = `add table inet chaos
delete table inet chaos
table inet chaos {
	chain input {
		type filter hook input priority 0
		%s
	}
	chain output {
		type filter hook output priority 0
		%s
	}
}
`

// Script is what nft is to do in a member's namespace, in one transaction. What is
// lost is lost where it would arrive.
func Script(member string, links map[chaos.Pair]chaos.Quality, address func(member string) netip.Addr) string {
	var in, out []string
	for pair, q := range links {
		switch {
		case pair.To == member:
			in = append(in, "ip saddr "+address(pair.From).String()+" "+loss(q))
		case pair.From == member && pair.To == chaos.Outside:
			out = append(out, "ip daddr "+address(chaos.Outside).String()+" "+loss(q))
		}
	}
	return fmt.Sprintf(table, strings.Join(in, "\n"), strings.Join(out, "\n"))
}

// loss is the verdict of a rule: all is dropped, or, instead of a delay, some
// percent, the more the longer it is.
func loss(q chaos.Quality) string {
	if q.Lost {
		return "drop"
	}
	return fmt.Sprintf("numgen random mod 100 < %d drop", min(30, 5+int(q.Delay/(20*time.Millisecond))))
}
