package processes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/harness"
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

// Shape implements chaos.Cluster. Each member's namespace gets all its rules in
// one transaction. What is lost is lost where it would arrive.
func (c *Cluster) Shape(ctx context.Context, links map[chaos.Pair]chaos.Quality) error {
	var errs []error
	for _, m := range c.members {
		var in, out []string
		for pair, q := range links {
			switch {
			case pair.To == m:
				in = append(in, "ip saddr "+c.addressOf(pair.From).String()+" "+loss(q))
			case pair.From == m && pair.To == chaos.Outside:
				out = append(out, "ip daddr "+c.outside.String()+" "+loss(q))
			}
		}
		script := fmt.Sprintf(table, strings.Join(in, "\n"), strings.Join(out, "\n"))
		_, err := harness.Run(context.WithoutCancel(ctx), script, harness.Muster(), "dev", "exec", "--name", c.dev.Name, "--data-dir", c.dev.Dir, m, "--", "nft", "-f", "-")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Cluster) addressOf(member string) netip.Addr {
	if member == chaos.Outside {
		return c.outside
	}
	return c.address[member]
}

// loss is the verdict of a rule: all is dropped, or, instead of a delay, some
// percent, the more the longer it is.
func loss(q chaos.Quality) string {
	if q.Lost {
		return "drop"
	}
	return fmt.Sprintf("numgen random mod 100 < %d drop", min(30, 5+int(q.Delay/(20*time.Millisecond))))
}
