package nftables

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"golang.org/x/sys/unix"
)

// counters is how many chains share the services with as many endpoints. Each
// has a counter that deals out endpoints in turn. One for all would let two
// services fall into step: a client that calls one and then the other would
// meet the same endpoints always.
const counters = 64

// endpointChain chooses among a number of endpoints. The services with that many,
// the same counter and the same affinity share it.
type endpointChain struct {
	choices        int
	counter        int           // of counters
	affinity       time.Duration // how long a client is remembered; 0 for not at all
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
	name := fmt.Sprintf("%s-%d-%d", kind, c.choices, c.counter)
	if c.affinity > 0 {
		name += fmt.Sprintf("-sticky-%d", int(c.affinity.Seconds()))
	}
	return name
}

// counterOf spreads services over the counters.
func counterOf(front string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(front))
	return int(h.Sum32() % counters)
}

// Registers: 0 the client; 1 to 3 what was asked for (address, protocol, port)
// and 4 the choice, which together are the key of the endpoint; 5 and 6 the
// endpoint.
var (
	regClient = nft.Reg(0)
	regFront  = nft.Reg(1)
	regChoice = nft.Reg(4)
	regTarget = nft.Reg(5)
)

// rules of the chain: mark what needs masquerade, choose, translate. The last
// rule takes the first endpoint: while the kernel swaps in a new generation of
// the maps, a packet may be in the chain for three endpoints and no longer find
// the third.
func (c endpointChain) rules(t *nft.Table, clusterCIDR netip.Prefix) [][]expr.Any {
	var out [][]expr.Any
	if !c.preserveSource {
		out = append(out, nft.Exprs(nft.SourceAddr(regClient), nft.NotIn(regClient, clusterCIDR), nft.SetMark(regClient)))
	}
	if c.affinity > 0 {
		return append(out, c.stickyRules(t)...)
	}
	for _, choice := range []expr.Any{c.inTurn(), firstChoice} {
		out = append(out, nft.Exprs(c.front(), []expr.Any{choice},
			nft.Find(regFront, regTarget, t.Set(setEndpoints)), translate(regTarget)))
	}
	return out
}

// front loads what was asked for, as the maps' keys spell it.
func (c endpointChain) front() []expr.Any {
	front := nft.Exprs(nft.DestAddr(regFront), nft.Protocol(regFront+1), nft.DestPort(regFront+2))
	if c.nodePort {
		front[0] = &expr.Immediate{Register: regFront, Data: anyAddress.AsSlice()}
	}
	return front
}

func (c endpointChain) inTurn() expr.Any {
	return &expr.Numgen{Register: regChoice, Modulus: uint32(c.choices), Type: unix.NFT_NG_INCREMENTAL}
}

var firstChoice expr.Any = &expr.Immediate{Register: regChoice, Data: make([]byte, 4)}

// translate ends the rule: the connection goes to the endpoint at reg.
func translate(reg uint32) []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg, RegProtoMin: reg + 1}}
}
