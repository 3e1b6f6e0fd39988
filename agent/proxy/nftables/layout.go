package nftables

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/proxy"
)

const (
	chainServices = "services"
	chainReject   = "refuse"
)

// sets of the table.
func sets() []*nftables.Set {
	addr, proto, port := nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService
	concat := nftables.MustConcatSetType
	return []*nftables.Set{
		{Name: setServices, IsMap: true, KeyType: concat(addr, proto, port), DataType: nftables.TypeVerdict},
		{Name: setNodePorts, IsMap: true, KeyType: concat(proto, port), DataType: nftables.TypeVerdict},
		{Name: setEndpoints, IsMap: true, KeyType: concat(addr, proto, port, nftables.TypeMark), DataType: concat(addr, port)},
		{Name: setClients, IsMap: true, Dynamic: true, HasTimeout: true, Size: maxClients,
			KeyType: concat(addr, addr, proto, port), DataType: nftables.TypeMark},
		{Name: setChoices, IsMap: true, KeyType: concat(addr, proto, port, nftables.TypeMark), DataType: nftables.TypeMark},
		{Name: setNumbered, IsMap: true, KeyType: concat(addr, proto, port, nftables.TypeMark), DataType: concat(addr, port)},
		{Name: setHairpin, KeyType: concat(addr, addr)},
		{Name: setAddresses, KeyType: addr},
		{Name: setRefused, KeyType: concat(proto, port)},
	}
}

// baseChains are the chains that do not depend on endpoints.
func baseChains(t *nft.Table, rules proxy.Rules) map[string]nft.Chain {
	chains := map[string]nft.Chain{}
	add := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...[]expr.Any) {
		chains[name] = nft.Chain{Chain: &nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority}, Rules: rules}
	}
	r0, r1 := nft.Reg(0), nft.Reg(1)
	jump := []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chainServices}}
	toReject := nft.Goto(chainReject)
	// A packet that still has a service address after translation has nowhere to go.
	undeliverable := nft.Exprs(nft.DestAddr(r0), nft.In(r0, rules.ServiceCIDR), nft.DestNotLocal(r0), toReject)
	add(chainReject, "", nil, nil, nft.RejectTCP(r0), nft.RejectPort())
	add(chainServices, "", nil, nil,
		nft.Exprs(nft.DestAddr(r0), nft.Protocol(r1), nft.DestPort(nft.Reg(2)), nft.Verdict(r0, t.Set(setServices))),
		nft.Exprs(nft.DestAddr(r0), nft.Member(r0, t.Set(setAddresses)),
			nft.Protocol(r0), nft.DestPort(r1), nft.Verdict(r0, t.Set(setNodePorts))))
	add("nat-prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, jump)
	add("nat-output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, jump)
	add("nat-postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
		nft.Exprs(nft.HasMark(r0), nft.ClearMark(r0), nft.Masquerade()),
		nft.Exprs(nft.Translated(r0), nft.SourceAddr(r0), nft.DestAddr(r1), nft.Member(r0, t.Set(setHairpin)), nft.Masquerade()))
	add("filter-input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter,
		nft.Exprs(nft.NewConnection(r0), nft.DestAddr(r0), nft.Member(r0, t.Set(setAddresses)),
			nft.Protocol(r0), nft.DestPort(r1), nft.Member(r0, t.Set(setRefused)), toReject))
	add("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, undeliverable)
	add("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter, undeliverable)
	return chains
}
