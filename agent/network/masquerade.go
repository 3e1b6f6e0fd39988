package network

import (
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/musterhq/muster/agent/network/nft"
)

const masqueradeTable = "muster-network"

// ensureMasquerade writes the table anew in one transaction: this node's pods
// leave the cluster with the node's address, and reach each other with their own.
func (n *Network) ensureMasquerade() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: masqueradeTable, Family: nftables.TableFamilyIPv4}
	conn.AddTable(table) // so that the next line never fails
	conn.DelTable(table)
	conn.AddTable(table)
	chain := conn.AddChain(&nftables.Chain{Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	reg := nft.Reg(0)
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: nft.Exprs(
		nft.SourceAddr(reg), nft.In(reg, n.cfg.PodCIDR),
		nft.DestAddr(reg), nft.NotIn(reg, n.cfg.ClusterCIDR),
		nft.OutNot(reg, n.cfg.Bridge), nft.Masquerade())})
	return conn.Flush()
}

// warnOfDrops tells of other programs' chains that drop forwarded packets unless
// told otherwise, such as docker's: what one table drops no other can save, and
// it is not ours to change.
func (n *Network) warnOfDrops() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := conn.ListChainsOfTableFamily(family)
		if err != nil {
			return fmt.Errorf("list chains: %w", err)
		}
		for _, c := range chains {
			if c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
				n.logger.Warn("a chain drops forwarded packets by default: pods reach others only as far as it accepts them; accept those that come from or go to the bridge",
					"table", c.Table.Name, "chain", c.Name, "bridge", n.cfg.Bridge)
			}
		}
	}
	return nil
}

func removeMasquerade() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: masqueradeTable, Family: nftables.TableFamilyIPv4}
	conn.AddTable(table)
	conn.DelTable(table)
	if err := conn.Flush(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
