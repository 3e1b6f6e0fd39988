package nftables

import (
	"encoding/binary"
	"net/netip"

	"github.com/musterhq/muster/agent/network/nft"
	"github.com/musterhq/muster/agent/proxy"
	"golang.org/x/sys/unix"
)

// The maps and sets of the table.
const (
	setServices  = "services"   // address . protocol . port : chain
	setNodePorts = "node-ports" // protocol . port : chain
	setEndpoints = "endpoints"  // address . protocol . port . choice : address . port
	setHairpin   = "hairpin"    // address . address of every endpoint
	setAddresses = "addresses"  // the node's own
	setRefused   = "refused"    // protocol . port of node ports without an endpoint
)

// state is what the table shall hold beside its fixed layout.
type state struct {
	sets   map[string]nft.Elements
	chains map[string]endpointChain
}

// desired lays rules out as set elements. A service costs one element and one
// more for each endpoint, whatever their number: no chain is made for it.
func desired(rules proxy.Rules) state {
	s := state{sets: map[string]nft.Elements{}, chains: map[string]endpointChain{}}
	for _, name := range []string{setServices, setNodePorts, setEndpoints, setHairpin, setAddresses, setRefused} {
		s.sets[name] = nft.Elements{}
	}
	for _, a := range rules.NodeAddresses {
		s.sets[setAddresses][nft.AddrKey(a)] = ""
	}
	for i := range rules.Services {
		s.addService(&rules.Services[i])
	}
	return s
}

func (s *state) addService(service *proxy.Service) {
	choices := service.Endpoints
	if service.Affinity > 0 {
		choices = slots(service.Endpoints)
	}
	chain := endpointChain{choices: len(choices), byClient: service.Affinity > 0}
	if service.ClusterIP.IsValid() && len(choices) > 0 {
		front := frontKey(service.ClusterIP, service.Protocol, service.Port)
		if !chain.byClient {
			chain.counter = counterOf(front)
		}
		s.chains[chain.name()] = chain
		s.sets[setServices][front] = chain.name()
		s.addChoices(service.ClusterIP, service.Protocol, service.Port, choices)
	}
	if service.NodePort == 0 {
		return
	}
	key := portKey(service.Protocol, service.NodePort)
	if len(choices) == 0 {
		s.sets[setRefused][key] = ""
		return
	}
	chain.nodePort, chain.preserveSource = true, service.PreserveSource
	if !chain.byClient {
		chain.counter = counterOf(key)
	}
	s.chains[chain.name()] = chain
	s.sets[setNodePorts][key] = chain.name()
	s.addChoices(anyAddress, service.Protocol, service.NodePort, choices)
}

// anyAddress stands for every address of the node in the keys of node ports.
var anyAddress = netip.IPv4Unspecified()

func (s *state) addChoices(front netip.Addr, protocol proxy.Protocol, port uint16, choices []netip.AddrPort) {
	key := frontKey(front, protocol, port)
	for i, e := range choices {
		s.sets[setEndpoints][key+string(binary.NativeEndian.AppendUint32(nil, uint32(i)))] = nft.AddrKey(e.Addr()) + nft.PortKey(e.Port())
		s.sets[setHairpin][nft.AddrKey(e.Addr())+nft.AddrKey(e.Addr())] = ""
	}
}

func frontKey(a netip.Addr, p proxy.Protocol, port uint16) string {
	return nft.AddrKey(a) + portKey(p, port)
}

func portKey(p proxy.Protocol, port uint16) string {
	number := byte(unix.IPPROTO_TCP)
	if p == proxy.UDP {
		number = unix.IPPROTO_UDP
	}
	return nft.ProtocolKey(number) + nft.PortKey(port)
}
