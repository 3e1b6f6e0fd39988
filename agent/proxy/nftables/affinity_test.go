package nftables

import (
	"net/netip"
	"testing"
)

func TestNumbersLast(t *testing.T) {
	var all []netip.AddrPort
	for i := range 1000 {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)}), 8000))
	}
	numbers := number(all)
	taken := map[uint32]bool{}
	for i, n := range numbers {
		if taken[n] {
			t.Fatalf("%s has the number of another endpoint", all[i])
		}
		taken[n] = true
	}
	for i, n := range number(all[500:]) {
		if n != numbers[500+i] {
			t.Fatalf("%s got another number when others left", all[500+i])
		}
	}
}
