// Package nftables applies service rules by nftables. All services share a few
// flat maps, so that a change costs what changed and not what is there; a Sync
// is one transaction.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/nftables"
	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/conntrack"
)

// Config of an Applier.
type Config struct {
	Logger *slog.Logger
}

// Applier owns the table "muster-proxy" of the network namespace of the thread
// that calls it.
type Applier struct {
	table *nft.Table
	last  proxy.Rules
}

// New checks that the kernel has nftables.
func New(cfg Config) (proxy.Applier, error) {
	if cfg.Logger == nil {
		return nil, errors.New("new nftables applier: logger is required")
	}
	table, err := nft.NewTable("muster-proxy", cfg.Logger.With("component", "proxy-nftables"), sets()...)
	if err != nil {
		return nil, fmt.Errorf("new nftables applier: %w", err)
	}
	return &Applier{table: table}, nil
}

// Mode implements proxy.Applier.
func (a *Applier) Mode() string { return proxy.ModeNFTables }

// Sync implements proxy.Applier.
func (a *Applier) Sync(ctx context.Context, rules proxy.Rules) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	want := desired(rules)
	content := nft.Content{
		Key:      rules.ClusterCIDR.String() + " " + rules.ServiceCIDR.String(),
		Chains:   baseChains(a.table, rules),
		Elements: want.sets,
	}
	for name, c := range want.chains {
		content.Chains[name] = nft.Chain{Chain: &nftables.Chain{Name: name}, Rules: c.rules(a.table, rules.ClusterCIDR)}
	}
	if err := a.table.Apply(content); err != nil {
		return err
	}
	if err := conntrack.DeleteStale(a.last, rules); err != nil {
		return err
	}
	a.last = rules
	return nil
}

// Cleanup implements proxy.Applier.
func (a *Applier) Cleanup(context.Context) error {
	a.last = proxy.Rules{}
	return a.table.Delete()
}
