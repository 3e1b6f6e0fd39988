package ipvs

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/proxy"
)

// IPVS balances; this table does the rest: masquerade, and refusing what IPVS
// would leave to the node's own sockets.
const (
	setServices  = "services"   // address . protocol . port with endpoints
	setVIPs      = "vips"       // addresses on the device
	setNodePorts = "node-ports" // protocol . port whose clients are masqueraded
	setRefused   = "refused"    // protocol . port of node ports without an endpoint
	setAddresses = "addresses"  // the node's own
	setHairpin   = "hairpin"    // address . address of every endpoint
	setMade      = "made"       // address . protocol . port of our virtual servers; no rule reads it

	chainReject = "refuse"
)

func sets() []*nftables.Set {
	addr, proto, port := nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService
	concat := nftables.MustConcatSetType
	return []*nftables.Set{
		{Name: setServices, KeyType: concat(addr, proto, port)},
		{Name: setVIPs, KeyType: addr},
		{Name: setNodePorts, KeyType: concat(proto, port)},
		{Name: setRefused, KeyType: concat(proto, port)},
		{Name: setAddresses, KeyType: addr},
		{Name: setHairpin, KeyType: concat(addr, addr)},
		{Name: setMade, KeyType: concat(addr, proto, port)},
	}
}

func content(t *nft.Table, rules proxy.Rules, made map[string]bool) nft.Content {
	c := nft.Content{Key: rules.ClusterCIDR.String() + " " + rules.ServiceCIDR.String(),
		Chains: chains(t, rules), Elements: map[string]nft.Elements{}}
	for _, s := range sets() {
		c.Elements[s.Name] = nft.Elements{}
	}
	add := func(set, key string) { c.Elements[set][key] = "" }
	for key := range made {
		add(setMade, key)
	}
	for _, a := range rules.NodeAddresses {
		add(setAddresses, nft.AddrKey(a))
	}
	for i := range rules.Services {
		s := &rules.Services[i]
		protocol := nft.ProtocolKey(byte(protocolNumber(s.Protocol)))
		for _, e := range s.Endpoints {
			add(setHairpin, nft.AddrKey(e.Addr())+nft.AddrKey(e.Addr()))
		}
		if s.ClusterIP.IsValid() {
			add(setVIPs, nft.AddrKey(s.ClusterIP))
			if len(s.Endpoints) > 0 {
				add(setServices, nft.AddrKey(s.ClusterIP)+protocol+nft.PortKey(s.Port))
			}
		}
		switch key := protocol + nft.PortKey(s.NodePort); {
		case s.NodePort == 0:
		case len(s.Endpoints) == 0:
			add(setRefused, key)
		case !s.PreserveSource:
			add(setNodePorts, key)
		}
	}
	return c
}

func chains(t *nft.Table, rules proxy.Rules) map[string]nft.Chain {
	out := map[string]nft.Chain{}
	add := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...[]expr.Any) {
		out[name] = nft.Chain{Chain: &nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority}, Rules: rules}
	}
	r0, r1, r2 := nft.Reg(0), nft.Reg(1), nft.Reg(2)
	toReject := nft.Goto(chainReject)
	outsider := nft.Exprs(nft.SourceAddr(r0), nft.NotIn(r0, rules.ClusterCIDR))
	service := nft.Exprs(nft.DestAddr(r0), nft.Protocol(r1), nft.DestPort(r2))
	toNode := nft.Exprs(nft.DestAddr(r0), nft.Member(r0, t.Set(setAddresses)), nft.Protocol(r0), nft.DestPort(r1))
	mark := [][]expr.Any{
		nft.Exprs(outsider, service, nft.Member(r0, t.Set(setServices)), nft.SetMark(r0)),
		nft.Exprs(outsider, toNode, nft.Member(r0, t.Set(setNodePorts)), nft.SetMark(r0)),
	}
	undeliverable := nft.Exprs(nft.DestAddr(r0), nft.In(r0, rules.ServiceCIDR), nft.DestNotLocal(r0), toReject)

	add(chainReject, "", nil, nil, nft.RejectTCP(r0), nft.RejectPort())
	// Marked before IPVS takes the packet, in the hooks where it does.
	add("mark-prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityMangle, mark...)
	add("mark-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityMangle, mark...)
	add("nat-postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
		nft.Exprs(nft.HasMark(r0), nft.ClearMark(r0), nft.Masquerade()),
		nft.Exprs(nft.SourceAddr(r0), nft.DestAddr(r1), nft.Member(r0, t.Set(setHairpin)), nft.Masquerade()))
	add("filter-input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter,
		nft.Exprs(nft.NewConnection(r0), nft.DestAddr(r0), nft.Member(r0, t.Set(setVIPs)),
			service, nft.NotMember(r0, t.Set(setServices)), toReject),
		nft.Exprs(nft.NewConnection(r0), toNode, nft.Member(r0, t.Set(setRefused)), toReject))
	add("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, undeliverable)
	add("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter, undeliverable)
	return out
}
