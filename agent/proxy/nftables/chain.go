package nftables

import (
	"fmt"
	"hash/fnv"
	"net/netip"

	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"golang.org/x/sys/unix"
)

// counters is how many chains share the services with as many endpoints. Each
// has a counter that deals out endpoints in turn. One for all would let two
// services fall into step: a client that calls one and then the other would
// meet the same endpoints always.
const counters = 64

// endpointChain chooses among a number of endpoints, or of slots of a service
// with affinity. The services with that many and the same counter share it.
type endpointChain struct {
	choices        int
	counter        int  // of counters; 0 with byClient
	byClient       bool // by the client's address, else in turn
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
	if c.byClient {
		return fmt.Sprintf("%s-by-client-%d", kind, c.choices)
	}
	return fmt.Sprintf("%s-%d-%d", kind, c.choices, c.counter)
}

// counterOf spreads services over the counters.
func counterOf(front string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(front))
	return int(h.Sum32() % counters)
}

// Registers: 0 the client; 1 to 3 what was asked for (address, protocol, port)
// and 4 the choice, which together are the key of the endpoint that then
// replaces the choice.
var (
	regClient = nft.Reg(0)
	regFront  = nft.Reg(1)
	regChoice = nft.Reg(4)
)

// hashSeed is the same on all nodes, and so is a client's endpoint.
const hashSeed = 0x6d757374

// rules of the chain: mark what needs masquerade, choose, translate. The last
// rule takes the first endpoint: while the kernel swaps in a new generation of
// the maps, a packet may be in the chain for three endpoints and no longer find
// the third.
func (c endpointChain) rules(t *nft.Table, clusterCIDR netip.Prefix) [][]expr.Any {
	front := nft.Exprs(nft.DestAddr(regFront), nft.Protocol(regFront+1), nft.DestPort(regFront+2))
	if c.nodePort {
		front[0] = &expr.Immediate{Register: regFront, Data: anyAddress.AsSlice()}
	}
	choice := []expr.Any{&expr.Numgen{Register: regChoice, Modulus: uint32(c.choices), Type: unix.NFT_NG_INCREMENTAL}}
	if c.byClient {
		choice = nft.Exprs(nft.SourceAddr(regClient), []expr.Any{&expr.Hash{SourceRegister: regClient, DestRegister: regChoice,
			Length: 4, Modulus: uint32(c.choices), Seed: hashSeed, Type: expr.HashTypeJenkins}})
	}
	first := []expr.Any{&expr.Immediate{Register: regChoice, Data: make([]byte, 4)}}
	translate := nft.Exprs(nft.Find(regFront, regChoice, t.Set(setEndpoints)), []expr.Any{
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: regChoice, RegProtoMin: regChoice + 1}})

	var out [][]expr.Any
	if !c.preserveSource {
		out = append(out, nft.Exprs(nft.SourceAddr(regClient), nft.NotIn(regClient, clusterCIDR), nft.SetMark(regClient)))
	}
	return append(out, nft.Exprs(front, choice, translate), nft.Exprs(front, first, translate))
}
