package ipvs

import (
	"net/netip"
	"time"

	"github.com/musterhq/muster/agent/proxy"
	"golang.org/x/sys/unix"
)

// front is where a virtual server answers.
type front struct {
	addr     netip.Addr
	protocol uint16
	port     uint16
}

// server is a virtual server as it shall be.
type server struct {
	affinity  time.Duration
	endpoints []netip.AddrPort
}

func (s server) equal(o server) bool {
	if s.affinity != o.affinity || len(s.endpoints) != len(o.endpoints) {
		return false
	}
	for i := range s.endpoints {
		if s.endpoints[i] != o.endpoints[i] {
			return false
		}
	}
	return true
}

func protocolNumber(p proxy.Protocol) uint16 {
	if p == proxy.UDP {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// plan gives the virtual servers and the addresses that the device holds. A
// service without endpoints has a server too, so that those which drain stay.
func plan(rules proxy.Rules) (servers map[front]server, vips map[netip.Addr]bool) {
	servers, vips = map[front]server{}, map[netip.Addr]bool{}
	for i := range rules.Services {
		s := &rules.Services[i]
		want := server{s.Affinity, s.Endpoints}
		if s.ClusterIP.IsValid() {
			vips[s.ClusterIP] = true
			servers[front{s.ClusterIP, protocolNumber(s.Protocol), s.Port}] = want
		}
		if s.NodePort == 0 {
			continue
		}
		for _, a := range rules.NodeAddresses {
			servers[front{a, protocolNumber(s.Protocol), s.NodePort}] = want
		}
	}
	return servers, vips
}
