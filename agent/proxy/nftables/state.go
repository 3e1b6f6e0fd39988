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
	setClients   = "clients"    // client . address . protocol . port : endpoint's number
	setChoices   = "choices"    // address . protocol . port . choice : endpoint's number
	setNumbered  = "numbered"   // address . protocol . port . number : address . port
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
	for _, name := range []string{setServices, setNodePorts, setEndpoints, setChoices, setNumbered, setHairpin, setAddresses, setRefused} {
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
	chain := endpointChain{choices: len(service.Endpoints), affinity: service.Affinity}
	if service.ClusterIP.IsValid() && chain.choices > 0 {
		front := frontKey(service.ClusterIP, service.Protocol, service.Port)
		s.sets[setServices][front] = s.addFront(front, chain, service.Endpoints)
	}
	if service.NodePort == 0 {
		return
	}
	key := portKey(service.Protocol, service.NodePort)
	if chain.choices == 0 {
		s.sets[setRefused][key] = ""
		return
	}
	chain.nodePort, chain.preserveSource = true, service.PreserveSource
	s.sets[setNodePorts][key] = s.addFront(nft.AddrKey(anyAddress)+key, chain, service.Endpoints)
}

// anyAddress stands for every address of the node in the keys of node ports.
var anyAddress = netip.IPv4Unspecified()

// addFront adds a front's endpoints and gives the name of the chain that chooses
// among them.
func (s *state) addFront(front string, chain endpointChain, endpoints []netip.AddrPort) string {
	chain.counter = counterOf(front)
	s.chains[chain.name()] = chain
	var numbers []uint32
	if chain.affinity > 0 {
		numbers = number(endpoints)
	}
	for i, e := range endpoints {
		target := nft.AddrKey(e.Addr()) + nft.PortKey(e.Port())
		s.sets[setHairpin][nft.AddrKey(e.Addr())+nft.AddrKey(e.Addr())] = ""
		if chain.affinity == 0 {
			s.sets[setEndpoints][front+numberKey(uint32(i))] = target
			continue
		}
		s.sets[setChoices][front+numberKey(uint32(i))] = numberKey(numbers[i])
		s.sets[setNumbered][front+numberKey(numbers[i])] = target
	}
	return chain.name()
}

func numberKey(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }

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
