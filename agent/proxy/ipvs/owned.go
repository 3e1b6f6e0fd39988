package ipvs

import (
	"fmt"

	"github.com/moby/ipvs"
	"github.com/musterhq/muster/agent/network/nft"
)

// The kernel's virtual servers carry no owner. On services' addresses all are
// ours; on the node's addresses others may have some as well, also on ports for
// services, so a set of our table records which we made. It lives and dies with
// the virtual servers: with the network namespace. One that is where we want ours
// becomes ours.

func (f front) key() string {
	return nft.AddrKey(f.addr) + nft.ProtocolKey(byte(f.protocol)) + nft.PortKey(f.port)
}

// present lists our virtual servers: those recorded, and those that claim names.
func (a *Applier) present(claim func(front) bool) (map[front]*ipvs.Service, error) {
	if a.made == nil {
		keys, err := a.table.Keys(setMade)
		if err != nil {
			return nil, fmt.Errorf("read which virtual servers are ours: %w", err)
		}
		a.made = make(map[string]bool, len(keys))
		for _, k := range keys {
			a.made[k] = true
		}
	}
	list, err := a.handle.GetServices()
	if err != nil {
		return nil, fmt.Errorf("list virtual servers: %w", err)
	}
	out := make(map[front]*ipvs.Service, len(list))
	for _, v := range list {
		if f, ok := frontOf(v); ok && (claim(f) || a.made[f.key()]) {
			out[f] = v
		}
	}
	return out, nil
}

// record notes what is made next and what is not removed yet, so that at no time
// there is a virtual server of ours that is not in the table.
func (a *Applier) record(wanted map[front]server, present map[front]*ipvs.Service) {
	a.made = make(map[string]bool, len(wanted))
	for f := range wanted {
		a.made[f.key()] = true
	}
	for f := range present {
		a.made[f.key()] = true
	}
}
