package nftables

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"golang.org/x/sys/unix"
)

// endpointChain chooses among a number of endpoints. All services with that
// many endpoints (and the same affinity) share it.
type endpointChain struct {
	endpoints      int
	affinity       time.Duration
	nodePort       bool
	preserveSource bool
}

func (c endpointChain) name() string {
	kind := "cluster"
	switch {
	case c.preserveSource:
		kind = "local"
	case c.nodePort:
		kind = "node"
	}
	if c.affinity > 0 {
		return fmt.Sprintf("%s-%d-sticky-%d", kind, c.endpoints, int(c.affinity.Seconds()))
	}
	return fmt.Sprintf("%s-%d", kind, c.endpoints)
}

// Registers: 0 the client, 1 to 3 what was asked for (address, protocol, port),
// 4 the index and then the endpoint's address, 5 its port. The keys of all
// three maps are consecutive registers of these.
var (
	regClient = nft.Reg(0)
	regFront  = nft.Reg(1)
	regTarget = nft.Reg(4)
)

// dynsetDelete is NFT_DYNSET_OP_DELETE of linux/netfilter/nf_tables.h.
const dynsetDelete = 2

// rules of the chain: mark what needs masquerade, follow affinity, choose at
// random. The last rule takes the first endpoint: while the kernel swaps in a
// new generation of the maps, a packet may be in the chain for three endpoints
// and no longer find the third.
func (c endpointChain) rules(t *nft.Table, clusterCIDR netip.Prefix) [][]expr.Any {
	front := nft.Exprs(nft.SourceAddr(regClient), nft.DestAddr(regFront), nft.Protocol(regFront+1), nft.DestPort(regFront+2))
	if c.nodePort {
		front = append(front, &expr.Immediate{Register: regFront, Data: anyAddress.AsSlice()})
	}
	endpoints, affinity, targets := t.Set(setEndpoints), t.Set(setAffinity), t.Set(setTargets)
	random := []expr.Any{&expr.Numgen{Register: regTarget, Modulus: uint32(c.endpoints), Type: unix.NFT_NG_RANDOM}}
	translate := []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: regTarget, RegProtoMin: regTarget + 1}}
	remember := []expr.Any{&expr.Dynset{SrcRegKey: regClient, SrcRegData: regTarget, SetName: affinity.Name, SetID: affinity.ID,
		Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: c.affinity}}
	forget := []expr.Any{&expr.Dynset{SrcRegKey: regClient, SrcRegData: regTarget, SetName: affinity.Name, SetID: affinity.ID,
		Operation: dynsetDelete}}

	var out [][]expr.Any
	if !c.preserveSource {
		out = append(out, nft.Exprs(nft.SourceAddr(regClient), nft.NotIn(regClient, clusterCIDR), nft.SetMark(regClient)))
	}
	if c.affinity > 0 {
		out = append(out,
			nft.Exprs(front, nft.Find(regClient, regTarget, affinity), nft.Member(regFront, targets), remember, translate),
			// The endpoint is gone. An update would refresh it: it keeps the datum.
			nft.Exprs(front, nft.Find(regClient, regTarget, affinity), forget),
			nft.Exprs(front, random, nft.Find(regFront, regTarget, endpoints), remember, translate))
	}
	first := []expr.Any{&expr.Immediate{Register: regTarget, Data: make([]byte, 4)}}
	return append(out,
		nft.Exprs(front, random, nft.Find(regFront, regTarget, endpoints), translate),
		nft.Exprs(front, first, nft.Find(regFront, regTarget, endpoints), translate))
}
