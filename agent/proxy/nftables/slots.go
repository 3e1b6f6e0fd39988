package nftables

import (
	"hash/fnv"
	"net/netip"
)

// Clients with affinity are spread over slots by a hash of their address, and
// slots over endpoints by rendezvous hashing: when an endpoint goes only its
// clients move, and when one comes it takes its share from all others. Nothing
// needs to be remembered: a client's endpoint is the same on every node, after
// every restart and beyond every timeout.
//
// The kernel could remember clients in a map with a timeout instead, but rules
// that do so make nft (1.0.6) abort when it lists them.
const (
	fewSlots  = 256
	manySlots = 4096 // for more than an eighth of fewSlots endpoints
)

// slots gives each slot its endpoint.
func slots(endpoints []netip.AddrPort) []netip.AddrPort {
	if len(endpoints) == 0 {
		return nil
	}
	out := make([]netip.AddrPort, fewSlots)
	if len(endpoints) > fewSlots/8 {
		out = make([]netip.AddrPort, manySlots)
	}
	weight := make([]uint64, len(out))
	for _, e := range endpoints {
		base := fnv.New64a()
		encoded, _ := e.MarshalBinary() // never an error for a valid address
		_, _ = base.Write(encoded)
		for i := range out {
			if w := mix(base.Sum64() + uint64(i)*0x9e3779b97f4a7c15); !out[i].IsValid() || w > weight[i] {
				out[i], weight[i] = e, w
			}
		}
	}
	return out
}

// mix is the finalizer of splitmix64: neighbouring numbers become unrelated ones.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
