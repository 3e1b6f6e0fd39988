package nftables

import (
	"encoding/binary"
	"fmt"
	"net/netip"

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

// elements of one set: key to value. The value is empty in a set, the chain's
// name in a verdict map and the bytes of the datum in other maps.
type elements map[string]string

// state is what the table shall hold beside its fixed layout.
type state struct {
	sets   map[string]elements
	chains map[string]endpointChain
	rules  proxy.Rules
}

// desired lays rules out as set elements. A service costs one element and one
// more for each endpoint, whatever their number: no chain is made for it.
func desired(rules proxy.Rules) state {
	s := state{sets: map[string]elements{}, chains: map[string]endpointChain{}, rules: rules}
	for _, name := range []string{setServices, setNodePorts, setEndpoints, setTargets, setHairpin, setAddresses, setRefused} {
		s.sets[name] = elements{}
	}
	for _, a := range rules.NodeAddresses {
		s.sets[setAddresses][addrKey(a)] = ""
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
		target := addrKey(e.Addr()) + pad16(e.Port())
		s.sets[setEndpoints][key+string(binary.NativeEndian.AppendUint32(nil, uint32(i)))] = target
		s.sets[setHairpin][addrKey(e.Addr())+addrKey(e.Addr())] = ""
		if service.Affinity > 0 {
			s.sets[setTargets][key+target] = ""
		}
	}
}

func frontKey(a netip.Addr, p proxy.Protocol, port uint16) string {
	return addrKey(a) + portKey(p, port)
}

func portKey(p proxy.Protocol, port uint16) string {
	number := byte(unix.IPPROTO_TCP)
	if p == proxy.UDP {
		number = unix.IPPROTO_UDP
	}
	return string([]byte{number, 0, 0, 0}) + pad16(port)
}

func addrKey(a netip.Addr) string {
	b := a.As4()
	return string(b[:])
}

// pad16 is a port in network order, padded to a register.
func pad16(port uint16) string {
	return string([]byte{byte(port >> 8), byte(port), 0, 0})
}

// change is the difference of two versions of one set.
type change struct {
	remove []string // keys; also those whose value changes
	add    elements
}

func diff(have, want elements) change {
	c := change{add: elements{}}
	for k, v := range have {
		if w, ok := want[k]; !ok || w != v {
			c.remove = append(c.remove, k)
		}
	}
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v {
			c.add[k] = v
		}
	}
	return c
}

func (c change) String() string { return fmt.Sprintf("-%d +%d", len(c.remove), len(c.add)) }
