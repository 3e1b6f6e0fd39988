package processes

import (
	"context"
	"errors"
	"net/netip"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/nft"
	"github.com/musterhq/muster/integration/harness"
)

// Shape implements chaos.Cluster. Each member's namespace gets all its rules in
// one transaction.
func (c *Cluster) Shape(ctx context.Context, links map[chaos.Pair]chaos.Quality) error {
	var errs []error
	for _, m := range c.members {
		_, err := harness.Run(context.WithoutCancel(ctx), nft.Script(m, links, c.addressOf), harness.Muster(),
			"dev", "exec", "--name", c.dev.Name, "--data-dir", c.dev.Dir, m, "--", "nft", "-f", "-")
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
