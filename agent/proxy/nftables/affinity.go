package nftables

import (
	"hash/fnv"
	"net/netip"

	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
)

// A client with affinity stays with its endpoint: the kernel remembers the
// endpoint's number in a map and forgets it when the client made no connection
// for the service's timeout. Numbers come from the endpoints' addresses, so that
// they mean the same after others came and went, and after a restart. That of an
// endpoint that left leads nowhere, and its clients get another.

// maxClients bounds the kernel's memory, which anybody who forges addresses could
// fill, and the time to read them all when the agent starts again: it grows with
// the square, about two seconds for this many. Clients beyond it have their endpoint
// by a hash of their address.
const maxClients = 1 << 16

// hashSeed is the same on all nodes.
const hashSeed = 0x6d757374

// number gives each endpoint of a service a number of its own.
func number(endpoints []netip.AddrPort) []uint32 {
	out := make([]uint32, len(endpoints))
	taken := make(map[uint32]bool, len(endpoints))
	for i, e := range endpoints {
		h := fnv.New32a()
		encoded, _ := e.MarshalBinary() // never an error for a valid address
		_, _ = h.Write(encoded)
		n := h.Sum32()
		for taken[n] {
			n++
		}
		taken[n], out[i] = true, n
	}
	return out
}

// stickyRules of the chain: a client that is known goes where it went. One that
// is not, or whose endpoint left, is given one and is remembered; where there is
// no room for that, a hash decides. The last rule is that of other services.
func (c endpointChain) stickyRules(t *nft.Table) [][]expr.Any {
	clients, choices := t.Set(setClients), t.Set(setChoices)
	known := nft.Find(regClient, regChoice, clients)
	forget := nft.Forget(regClient, regChoice, clients)
	remember := nft.Remember(regClient, regChoice, clients, c.affinity)
	choose := func(by expr.Any) []expr.Any {
		return nft.Exprs([]expr.Any{by}, nft.Find(regFront, regChoice, choices))
	}
	hash := &expr.Hash{SourceRegister: regClient, DestRegister: regChoice, Length: 4,
		Modulus: uint32(c.choices), Seed: hashSeed, Type: expr.HashTypeJenkins}
	rule := func(number []expr.Any, memory ...[]expr.Any) []expr.Any {
		return nft.Exprs(nft.SourceAddr(regClient), c.front(), number, nft.Opaque(regChoice, regTarget),
			nft.Find(regFront, regTarget, t.Set(setNumbered)), nft.Exprs(memory...), translate(regTarget))
	}
	return [][]expr.Any{
		rule(known, remember),
		rule(choose(c.inTurn()), forget, remember),
		rule(choose(hash)),
		rule(choose(firstChoice)),
	}
}
