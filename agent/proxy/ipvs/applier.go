// Package ipvs applies service rules by the kernel's IPVS: a virtual server for
// each service port, on addresses that a dummy device holds.
package ipvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/moby/ipvs"
	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/network/sysctl"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/conntrack"
	"golang.org/x/sys/unix"
)

// recheck is how often a Sync reads every virtual server's endpoints, also of
// services that have not changed.
const recheck = 20 * time.Second

// Config of an Applier.
type Config struct {
	Logger *slog.Logger
}

// Applier owns the virtual servers on services' addresses and those it made on
// node addresses, the device "muster-ipvs" and the table "muster-proxy" of the
// network namespace of the thread that made it.
type Applier struct {
	handle *ipvs.Handle
	table  *nft.Table

	last    proxy.Rules
	made    map[string]bool  // as the table records it; nil before it was read
	settled map[front]server // as the kernel has them, nothing draining
	checked time.Time
}

// New checks that the kernel has IPVS and nftables.
func New(cfg Config) (proxy.Applier, error) {
	if cfg.Logger == nil {
		return nil, errors.New("new ipvs applier: logger is required")
	}
	if _, err := proxy.Detect(proxy.ModeIPVS); err != nil {
		return nil, err
	}
	logger := cfg.Logger.With("component", "proxy-ipvs")
	table, err := nft.NewTable("muster-proxy", logger, sets()...)
	if err != nil {
		return nil, fmt.Errorf("new ipvs applier: %w", err)
	}
	handle, err := ipvs.New("")
	if err != nil {
		return nil, fmt.Errorf("new ipvs applier: %w", err)
	}
	return &Applier{handle: handle, table: table, settled: map[front]server{}}, nil
}

// Mode implements proxy.Applier.
func (a *Applier) Mode() string { return proxy.ModeIPVS }

// Sync implements proxy.Applier. New services get their virtual server before
// their address, and lose the address before the server.
func (a *Applier) Sync(ctx context.Context, rules proxy.Rules) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.sync(rules); err != nil {
		a.settled = map[front]server{}
		return fmt.Errorf("sync ipvs: %w", err)
	}
	if err := conntrack.DeleteStale(a.last, rules); err != nil {
		return err
	}
	a.last = rules
	return nil
}

func (a *Applier) sync(rules proxy.Rules) error {
	if err := settings(); err != nil {
		return err
	}
	link, err := ensureDevice()
	if err != nil {
		return err
	}
	bound, err := addresses(link)
	if err != nil {
		return err
	}
	servers, vips := plan(rules)
	present, err := a.present(func(f front) bool {
		_, wanted := servers[f]
		return wanted || rules.ServiceCIDR.Contains(f.addr)
	})
	if err != nil {
		return err
	}
	a.record(servers, present)
	if err := a.table.Apply(content(a.table, rules, a.made)); err != nil {
		return err
	}
	if time.Since(a.checked) > recheck {
		a.settled, a.checked = map[front]server{}, time.Now()
	}
	for f, want := range servers {
		if err := a.ensure(f, want, present[f]); err != nil {
			return fmt.Errorf("virtual server %s:%d: %w", f.addr, f.port, err)
		}
	}
	if err := errors.Join(addAddresses(link, bound, vips), removeAddresses(link, bound, vips)); err != nil {
		return err
	}
	for f, v := range present {
		if _, ok := servers[f]; ok {
			continue
		}
		delete(a.settled, f)
		if err := a.handle.DelService(v); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("delete virtual server %s:%d: %w", f.addr, f.port, err)
		}
	}
	return nil
}

// settings makes IPVS and the masquerade table see the same connections, stops
// it from keeping clients at endpoints that are gone, and keeps services'
// addresses from being claimed on the node's networks.
func settings() error {
	return sysctl.Set(
		"net/ipv4/vs/conntrack=1",
		"net/ipv4/vs/conn_reuse_mode=1",
		"net/ipv4/vs/expire_nodest_conn=1",
		"net/ipv4/vs/expire_quiescent_template=1",
		"net/ipv4/conf/all/arp_ignore=1",
		"net/ipv4/conf/all/arp_announce=2",
	)
}

// ensure makes one virtual server as wanted.
func (a *Applier) ensure(f front, want server, have *ipvs.Service) error {
	v := virtual(f, want)
	switch {
	case have == nil:
		if err := a.handle.NewService(v); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		delete(a.settled, f)
	case !sameSettings(have, v):
		if err := a.handle.UpdateService(v); err != nil {
			return fmt.Errorf("change: %w", err)
		}
	}
	if known, ok := a.settled[f]; ok && known.equal(want) {
		return nil
	}
	delete(a.settled, f)
	settled, err := a.syncDestinations(f, v, want.endpoints)
	if err == nil && settled {
		a.settled[f] = want
	}
	return err
}

// Cleanup implements proxy.Applier.
func (a *Applier) Cleanup(context.Context) error {
	var errs []error
	// Without rules of our own, the services' addresses are told by the device.
	link, err := ensureDevice()
	errs = append(errs, err)
	bound := map[netip.Addr]bool{}
	if err == nil {
		bound, err = addresses(link)
		errs = append(errs, err)
	}
	present, err := a.present(func(f front) bool { return bound[f.addr] })
	errs = append(errs, err)
	for _, v := range present {
		errs = append(errs, a.handle.DelService(v))
	}
	a.settled, a.last, a.made = map[front]server{}, proxy.Rules{}, nil
	errs = append(errs, removeDevice(), a.table.Delete())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up ipvs: %w", err)
	}
	return nil
}
