package nftables

import (
	"net/netip"
	"testing"
)

func endpoints(n int) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range n {
		out = append(out, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)}), 8000))
	}
	return out
}

func TestSlots(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 100} {
		all := endpoints(n)
		before := slots(all)
		share := map[netip.AddrPort]int{}
		for _, e := range before {
			share[e]++
		}
		for _, e := range all {
			if got, fair := share[e], len(before)/n; got < fair/2 || got > fair*2 {
				t.Errorf("of %d endpoints %s has %d of %d slots", n, e, got, len(before))
			}
		}
		if n == 1 {
			continue
		}
		gone := all[n/2]
		after := slots(append(endpoints(n)[:n/2], all[n/2+1:]...))
		for i := range before {
			if before[i] != gone && before[i] != after[i] {
				t.Fatalf("of %d endpoints %s lost slot %d when %s went", n, before[i], i, gone)
			}
		}
	}
	if got := slots(nil); got != nil {
		t.Errorf("no endpoints have %d slots", len(got))
	}
}
