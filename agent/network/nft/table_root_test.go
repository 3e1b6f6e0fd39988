//go:build root

package nft_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/network/nft"
)

const tableName = "muster-test"

// inNamespace runs a test in a network namespace of its own.
func inNamespace(t *testing.T, test func() error) {
	t.Helper()
	nettest.New(t, "nft").Do(t, test)
}

// open makes a table with the set "peers" and the verdict map "services", both
// by address.
func open() (*nft.Table, error) {
	return nft.NewTable(tableName, slog.New(slog.DiscardHandler),
		&nftables.Set{Name: "peers", KeyType: nftables.TypeIPAddr},
		&nftables.Set{Name: "services", KeyType: nftables.TypeIPAddr, IsMap: true, DataType: nftables.TypeVerdict})
}

func chain(name string, rules ...[]expr.Any) nft.Chain {
	return nft.Chain{Chain: &nftables.Chain{Name: name}, Rules: rules}
}

// content has n peers, and n services that each go to a chain of their own.
func content(table *nft.Table, n int) nft.Content {
	c := nft.Content{Key: "test", Chains: map[string]nft.Chain{}, Elements: map[string]nft.Elements{"peers": {}, "services": {}}}
	lookup := nft.Exprs(nft.DestAddr(nft.Reg(0)), nft.Verdict(nft.Reg(0), table.Set("services")))
	c.Chains["dispatch"] = chain("dispatch", lookup)
	address := netip.MustParseAddr("10.96.0.0")
	for i := range n {
		address = address.Next()
		name := fmt.Sprintf("service-%d", i)
		c.Chains[name] = chain(name, nft.RejectPort())
		c.Elements["peers"][nft.AddrKey(address)] = ""
		c.Elements["services"][nft.AddrKey(address)] = name
	}
	return c
}

// state is what the kernel has of the table: chains with a rule each, and the
// elements of its sets.
type state struct{ chains, peers, services int }

func read(table *nft.Table) (s state, err error) {
	conn, err := nftables.New()
	if err != nil {
		return s, err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return s, err
	}
	for _, c := range chains {
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			return s, err
		}
		if c.Table.Name == tableName && len(rules) == 1 {
			s.chains++
		}
	}
	peers, err := table.Keys("peers")
	if err != nil {
		return s, err
	}
	services, err := conn.GetSetElements(table.Set("services"))
	s.peers, s.services = len(peers), len(services)
	return s, err
}

// expect compares the kernel's table with the content of n services.
func expect(table *nft.Table, n int) error {
	got, err := read(table)
	if want := (state{chains: n + 1, peers: n, services: n}); err == nil && got != want {
		return fmt.Errorf("the kernel has %+v, want %+v", got, want)
	}
	return err
}

func TestApply(t *testing.T) {
	inNamespace(t, func() error {
		table, err := open()
		if err != nil {
			return err
		}
		// The first fill is more than one message holds; then all but one go, come
		// back, and go.
		for _, n := range []int{1000, 1, 3, 3, 0} {
			if err := table.Apply(content(table, n)); err != nil {
				return err
			}
			if err := expect(table, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAnotherProcessGoesOn has a table that an earlier process left.
func TestAnotherProcessGoesOn(t *testing.T) {
	inNamespace(t, func() error {
		for _, n := range []int{5, 2} {
			table, err := open()
			if err != nil {
				return err
			}
			if err := table.Apply(content(table, n)); err != nil {
				return err
			}
			if err := expect(table, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestWhatOthersDoIsRepaired(t *testing.T) {
	for name, harm := range map[string]func(c *nftables.Conn, table *nft.Table){
		"table deleted": func(c *nftables.Conn, table *nft.Table) { c.DelTable(table.Table) },
		"rules deleted": func(c *nftables.Conn, table *nft.Table) {
			c.FlushChain(&nftables.Chain{Name: "service-1", Table: table.Table})
		},
		"set emptied": func(c *nftables.Conn, table *nft.Table) { c.FlushSet(table.Set("peers")) },
		"another's table": func(c *nftables.Conn, _ *nft.Table) {
			c.AddTable(&nftables.Table{Name: "another's", Family: nftables.TableFamilyIPv4})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t, func() error {
				table, err := open()
				if err != nil {
					return err
				}
				if err := table.Apply(content(table, 3)); err != nil {
					return err
				}
				conn, err := nftables.New()
				if err != nil {
					return err
				}
				harm(conn, table)
				if err := conn.Flush(); err != nil {
					return err
				}
				if err := table.Apply(content(table, 3)); err != nil {
					return err
				}
				return expect(table, 3)
			})
		})
	}
}

func TestDelete(t *testing.T) {
	inNamespace(t, func() error {
		table, err := open()
		if err != nil {
			return err
		}
		if err := table.Delete(); err != nil {
			return fmt.Errorf("of no table: %w", err)
		}
		if err := table.Apply(content(table, 2)); err != nil {
			return err
		}
		if err := table.Delete(); err != nil {
			return err
		}
		if keys, err := table.Keys("peers"); err != nil || len(keys) != 0 {
			return fmt.Errorf("keys of a set that is gone: %q, %w", keys, err)
		}
		if err := table.Apply(content(table, 1)); err != nil {
			return err
		}
		return expect(table, 1)
	})
}
