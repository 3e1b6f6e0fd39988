package nftables

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/proxy"
)

// affinitySize bounds the clients that are remembered. When it is full, new
// clients get any endpoint, as without affinity.
const affinitySize = 1 << 17

const (
	chainServices = "services"
	chainReject   = "reject"
)

// layout is the part of the table that does not depend on the services.
type layout struct {
	table *nftables.Table
	sets  map[string]*nftables.Set
}

func newLayout(name string) layout {
	l := layout{table: &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}, sets: map[string]*nftables.Set{}}
	addr, proto, port := nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService
	concat := nftables.MustConcatSetType
	target := concat(addr, port)
	for _, s := range []*nftables.Set{
		{Name: setServices, IsMap: true, KeyType: concat(addr, proto, port), DataType: nftables.TypeVerdict},
		{Name: setNodePorts, IsMap: true, KeyType: concat(proto, port), DataType: nftables.TypeVerdict},
		{Name: setEndpoints, IsMap: true, KeyType: concat(addr, proto, port, nftables.TypeMark), DataType: target},
		{Name: setAffinity, IsMap: true, KeyType: concat(addr, addr, proto, port), DataType: target,
			Dynamic: true, HasTimeout: true, Size: affinitySize},
		{Name: setTargets, KeyType: concat(addr, proto, port, addr, port)},
		{Name: setHairpin, KeyType: concat(addr, addr)},
		{Name: setAddresses, KeyType: addr},
		{Name: setRefused, KeyType: concat(proto, port)},
	} {
		s.Table = l.table
		// The library numbers sets by a variable without a lock; numbers need to
		// be unique within a transaction only.
		s.ID = uint32(len(l.sets) + 1)
		l.sets[s.Name] = s
	}
	return l
}

// orderedSets are the sets in the order of their numbers.
func (l layout) orderedSets() []*nftables.Set {
	out := make([]*nftables.Set, len(l.sets))
	for _, s := range l.sets {
		out[s.ID-1] = s
	}
	return out
}

// baseChain is a chain with its rules.
type baseChain struct {
	chain *nftables.Chain
	rules [][]expr.Any
}

// base gives the chains that do not depend on endpoints.
func (l layout) base(rules proxy.Rules) []baseChain {
	hook := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...[]expr.Any) baseChain {
		return baseChain{&nftables.Chain{Name: name, Table: l.table, Type: kind, Hooknum: hook, Priority: priority}, rules}
	}
	r0, r1 := nft.Reg(0), nft.Reg(1)
	jump := []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chainServices}}
	toReject := nft.Goto(chainReject)
	// A packet that still has a service address after translation has nowhere to go.
	undeliverable := nft.Exprs(nft.DestAddr(r0), nft.In(r0, rules.ServiceCIDR), nft.DestNotLocal(r0), toReject)
	return []baseChain{
		{&nftables.Chain{Name: chainReject, Table: l.table}, [][]expr.Any{nft.RejectTCP(r0), nft.RejectPort()}},
		{&nftables.Chain{Name: chainServices, Table: l.table}, [][]expr.Any{
			nft.Exprs(nft.DestAddr(r0), nft.Protocol(r1), nft.DestPort(nft.Reg(2)), nft.Verdict(r0, l.sets[setServices])),
			nft.Exprs(nft.DestAddr(r0), nft.Member(r0, l.sets[setAddresses]),
				nft.Protocol(r0), nft.DestPort(r1), nft.Verdict(r0, l.sets[setNodePorts])),
		}},
		hook("nat-prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, jump),
		hook("nat-output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, jump),
		hook("nat-postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
			nft.Exprs(nft.HasMark(r0), nft.ClearMark(r0), nft.Masquerade()),
			nft.Exprs(nft.Translated(r0), nft.SourceAddr(r0), nft.DestAddr(r1), nft.Member(r0, l.sets[setHairpin]), nft.Masquerade())),
		hook("filter-input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter,
			nft.Exprs(nft.NewConnection(r0), nft.DestAddr(r0), nft.Member(r0, l.sets[setAddresses]),
				nft.Protocol(r0), nft.DestPort(r1), nft.Member(r0, l.sets[setRefused]), toReject)),
		hook("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, undeliverable),
		hook("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter, undeliverable),
	}
}
