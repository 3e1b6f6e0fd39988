package ipvs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

const (
	flagPersistent = 0x1 // IP_VS_SVC_F_PERSISTENT
	wholeAddress   = 0xffffffff
)

// virtual is the kernel's form of a virtual server.
func virtual(f front, s server) *ipvs.Service {
	v := &ipvs.Service{Address: net.IP(f.addr.AsSlice()), Protocol: f.protocol, Port: f.port,
		AddressFamily: unix.AF_INET, SchedName: ipvs.RoundRobin, Netmask: wholeAddress}
	if s.affinity > 0 {
		v.Flags, v.Timeout = flagPersistent, uint32(s.affinity.Seconds())
	}
	return v
}

func destination(e netip.AddrPort, weight int) *ipvs.Destination {
	return &ipvs.Destination{Address: net.IP(e.Addr().AsSlice()), Port: e.Port(), Weight: weight,
		AddressFamily: unix.AF_INET, ConnectionFlags: ipvs.ConnectionFlagMasq}
}

// frontOf reads a virtual server's front; others' (by firewall mark, or IPv6)
// have none.
func frontOf(v *ipvs.Service) (front, bool) {
	addr, ok := netip.AddrFromSlice(v.Address)
	addr = addr.Unmap()
	if v.FWMark != 0 || !ok || !addr.Is4() {
		return front{}, false
	}
	return front{addr, v.Protocol, v.Port}, true
}

// sameSettings tells whether a present virtual server needs no change.
func sameSettings(have, want *ipvs.Service) bool {
	persistent := have.Flags & flagPersistent
	return have.SchedName == want.SchedName && persistent == want.Flags && (persistent == 0 || have.Timeout == want.Timeout)
}

// syncDestinations makes the endpoints of a virtual server those wanted. It
// tells whether it is settled: no endpoint is left that only drains.
func (a *Applier) syncDestinations(f front, v *ipvs.Service, want []netip.AddrPort) (settled bool, err error) {
	list, err := a.handle.GetDestinations(v)
	if err != nil {
		return false, fmt.Errorf("list endpoints: %w", err)
	}
	present := make(map[netip.AddrPort]*ipvs.Destination, len(list))
	for _, d := range list {
		addr, _ := netip.AddrFromSlice(d.Address)
		present[netip.AddrPortFrom(addr.Unmap(), d.Port)] = d
	}
	for _, e := range want {
		d, ok := present[e]
		delete(present, e)
		switch {
		case !ok:
			err = a.handle.NewDestination(v, destination(e, 1))
		case d.Weight != 1:
			err = a.handle.UpdateDestination(v, destination(e, 1))
		}
		if err != nil {
			return false, fmt.Errorf("add endpoint %s: %w", e, err)
		}
	}
	settled = true
	for e, d := range present {
		gone, err := a.retire(f, v, e, d)
		if err != nil {
			return false, fmt.Errorf("remove endpoint %s: %w", e, err)
		}
		settled = settled && gone
	}
	return settled, nil
}

// retire takes an endpoint out: first it gets no new connections, and when its
// last one is gone it goes. Nothing tells a UDP client to try elsewhere, so
// there it goes at once.
func (a *Applier) retire(f front, v *ipvs.Service, e netip.AddrPort, d *ipvs.Destination) (gone bool, err error) {
	switch {
	case f.protocol != unix.IPPROTO_TCP:
	case d.Weight != 0:
		return false, a.handle.UpdateDestination(v, destination(e, 0))
	case d.ActiveConnections+d.InactiveConnections > 0:
		return false, nil
	}
	err = a.handle.DelDestination(v, destination(e, 0))
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return true, err
}
