package processes

import (
	"context"
	"errors"
	"maps"
	"net/netip"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/nft"
	"github.com/musterhq/muster/integration/harness"
)

// Shape implements chaos.Cluster. Each member's namespace gets all its rules in
// one transaction.
func (c *Cluster) Shape(ctx context.Context, links map[chaos.Pair]chaos.Quality) error {
	c.mu.Lock()
	c.links = maps.Clone(links)
	c.mu.Unlock()
	var errs []error
	for _, m := range c.members {
		_, err := harness.Run(context.WithoutCancel(ctx), nft.Script(m, links, c.addressOf), harness.Muster(),
			"dev", "exec", "--name", c.dev.Name, "--data-dir", c.dev.Dir, m, "--", "nft", "-f", "-")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hidden says whether a member cannot answer those on this machine.
func (c *Cluster) hidden(member string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[chaos.Pair{From: member, To: chaos.Outside}].Lost || c.links[chaos.Pair{From: chaos.Outside, To: member}].Lost
}

func (c *Cluster) addressOf(member string) netip.Addr {
	if member == chaos.Outside {
		return c.outside
	}
	return c.address[member]
}
