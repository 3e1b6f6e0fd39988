package network

import (
	"errors"
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
