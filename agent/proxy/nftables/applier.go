// Package nftables applies service rules by nftables. All services share a few
// flat maps, so that a change costs what changed and not what is there; a Sync
// is one transaction.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/conntrack"
)

// Config of an Applier.
type Config struct {
	Logger *slog.Logger
	// Table is the name of its table, "muster-proxy" if empty.
	Table string
}

// Applier owns one table in the network namespace of the thread that calls it.
type Applier struct {
	logger *slog.Logger
	layout layout
	conn   *nftables.Conn

	// have is what the table holds since our last transaction, which ended the
	// ruleset's generation gen; nil when that is not known.
	have *state
	gen  uint32
}

// New checks that the kernel has nftables.
func New(cfg Config) (proxy.Applier, error) {
	if cfg.Logger == nil {
		return nil, errors.New("new nftables applier: logger is required")
	}
	if cfg.Table == "" {
		cfg.Table = "muster-proxy"
	}
	// A first Sync of 10,000 services is a message of some megabytes.
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(64<<20), c.SetReadBuffer(8<<20))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if _, err := generation(); err != nil {
		return nil, fmt.Errorf("new nftables applier: the kernel has no nftables: %w", err)
	}
	return &Applier{logger: cfg.Logger.With("component", "proxy-nftables"), layout: newLayout(cfg.Table), conn: conn}, nil
}

// Mode implements proxy.Applier.
func (a *Applier) Mode() string { return proxy.ModeNFTables }

// Sync implements proxy.Applier.
func (a *Applier) Sync(ctx context.Context, rules proxy.Rules) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	want := desired(rules)
	gen, err := generation()
	if err != nil {
		return err
	}
	old := a.have
	if old != nil && gen != a.gen && !a.intact() {
		a.logger.Warn("the table was changed by somebody else: writing it anew")
		a.have = nil
	}
	changed, err := a.apply(want)
	if err != nil {
		a.have = nil
		return fmt.Errorf("sync nftables rules: %w", err)
	}
	a.have = &want
	// Nobody else's transaction came between if the generation grew by one.
	a.gen = gen
	if changed {
		a.gen++
	}
	var before proxy.Rules
	if old != nil {
		before = old.rules
	}
	return conntrack.DeleteStale(before, rules)
}

// apply makes the table hold want, by difference where the present content is known.
func (a *Applier) apply(want state) (changed bool, err error) {
	if a.have != nil && sameBase(a.have.rules, want.rules) {
		changed, err := a.update(want)
		if err == nil {
			return changed, nil
		}
		a.logger.Warn("changing the table went wrong: writing it anew", "error", err)
	}
	return true, a.replace(want)
}

// sameBase tells whether the rules of the fixed chains would be the same.
func sameBase(a, b proxy.Rules) bool {
	return a.ClusterCIDR == b.ClusterCIDR && a.ServiceCIDR == b.ServiceCIDR
}

// replace writes the whole table in one transaction, whatever was there. What
// clients' affinity the kernel remembers is carried over.
func (a *Applier) replace(want state) error {
	remembered := a.affinity(want)
	a.conn.AddTable(a.layout.table) // so that the next line never fails
	a.conn.DelTable(a.layout.table)
	a.conn.AddTable(a.layout.table)
	for _, s := range a.layout.orderedSets() {
		if err := a.conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("add set %s: %w", s.Name, err)
		}
	}
	base := a.layout.base(want.rules)
	for _, c := range base {
		a.conn.AddChain(c.chain)
	}
	a.addEndpointChains(want, nil)
	for _, c := range base {
		for _, r := range c.rules {
			a.conn.AddRule(&nftables.Rule{Table: a.layout.table, Chain: c.chain, Exprs: r})
		}
	}
	for name, e := range want.sets {
		if err := a.add(a.layout.sets[name], e); err != nil {
			return err
		}
	}
	if err := a.addChunked(a.layout.sets[setAffinity], remembered); err != nil {
		return err
	}
	return a.conn.Flush()
}

// update changes what differs in one transaction.
func (a *Applier) update(want state) (changed bool, err error) {
	a.addEndpointChains(want, a.have.chains)
	for name, e := range want.sets {
		c := diff(a.have.sets[name], e)
		if len(c.remove) == 0 && len(c.add) == 0 {
			continue
		}
		changed = true
		if err := a.remove(a.layout.sets[name], c.remove); err != nil {
			return false, err
		}
		if err := a.add(a.layout.sets[name], c.add); err != nil {
			return false, err
		}
	}
	// A chain that no service uses any more stays known, so that it is not
	// added a second time; it is one of few.
	for name, c := range a.have.chains {
		want.chains[name] = c
	}
	return changed, a.conn.Flush()
}

// addEndpointChains adds the chains that are not there yet.
func (a *Applier) addEndpointChains(want state, have map[string]endpointChain) {
	for name, c := range want.chains {
		if _, ok := have[name]; ok {
			continue
		}
		chain := a.conn.AddChain(&nftables.Chain{Name: name, Table: a.layout.table})
		for _, r := range c.rules(a.layout, want.rules.ClusterCIDR) {
			a.conn.AddRule(&nftables.Rule{Table: a.layout.table, Chain: chain, Exprs: r})
		}
	}
}

// Cleanup implements proxy.Applier.
func (a *Applier) Cleanup(context.Context) error {
	a.have = nil
	a.conn.AddTable(a.layout.table)
	a.conn.DelTable(a.layout.table)
	if err := a.conn.Flush(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete table %s: %w", a.layout.table.Name, err)
	}
	return nil
}
