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
	setEndpoints = "endpoints"  // address . protocol . port . index : address . port
	setAffinity  = "affinity"   // client . address . protocol . port : address . port, filled by the kernel
	setTargets   = "targets"    // address . protocol . port . address . port of services with affinity
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
	for _, name := range []string{setServices, setNodePorts, setEndpoints, setTargets, setHairpin, setAddresses, setRefused} {
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
	if service.ClusterIP.IsValid() && len(service.Endpoints) > 0 {
		chain := endpointChain{endpoints: len(service.Endpoints), affinity: service.Affinity}
		s.chains[chain.name()] = chain
		s.sets[setServices][frontKey(service.ClusterIP, service.Protocol, service.Port)] = chain.name()
		s.addEndpoints(service.ClusterIP, service.Port, service)
	}
	if service.NodePort == 0 {
		return
	}
	key := portKey(service.Protocol, service.NodePort)
	if len(service.Endpoints) == 0 {
		s.sets[setRefused][key] = ""
		return
	}
	chain := endpointChain{endpoints: len(service.Endpoints), affinity: service.Affinity, nodePort: true, preserveSource: service.PreserveSource}
	s.chains[chain.name()] = chain
	s.sets[setNodePorts][key] = chain.name()
	s.addEndpoints(anyAddress, service.NodePort, service)
}

// anyAddress stands for every address of the node in the keys of node ports.
var anyAddress = netip.IPv4Unspecified()

func (s *state) addEndpoints(front netip.Addr, port uint16, service *proxy.Service) {
	key := frontKey(front, service.Protocol, port)
	for i, e := range service.Endpoints {
		target := nft.AddrKey(e.Addr()) + nft.PortKey(e.Port())
		s.sets[setEndpoints][key+string(binary.NativeEndian.AppendUint32(nil, uint32(i)))] = target
		s.sets[setHairpin][nft.AddrKey(e.Addr())+nft.AddrKey(e.Addr())] = ""
		if service.Affinity > 0 {
			s.sets[setTargets][key+target] = ""
		}
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
