package nft

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/nftables/expr"
)

func TestKeys(t *testing.T) {
	for _, tc := range []struct{ name, got, want string }{
		{"address", AddrKey(netip.MustParseAddr("10.244.1.2")), "\x0a\xf4\x01\x02"},
		{"port", PortKey(8000), "\x1f\x40\x00\x00"},
		{"protocol", ProtocolKey(6), "\x06\x00\x00\x00"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: % x, want % x", tc.name, tc.got, tc.want)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for _, tc := range []struct {
		prefix     string
		mask, addr []byte
	}{
		{"10.244.0.0/16", []byte{255, 255, 0, 0}, []byte{10, 244, 0, 0}},
		{"10.244.3.7/20", []byte{255, 255, 240, 0}, []byte{10, 244, 0, 0}},
		{"192.0.2.1/32", []byte{255, 255, 255, 255}, []byte{192, 0, 2, 1}},
		{"0.0.0.0/0", []byte{0, 0, 0, 0}, []byte{0, 0, 0, 0}},
	} {
		p := netip.MustParsePrefix(tc.prefix)
		for op, got := range map[expr.CmpOp][]expr.Any{expr.CmpOpEq: In(Reg(1), p), expr.CmpOpNeq: NotIn(Reg(1), p)} {
			mask, cmp := got[0].(*expr.Bitwise), got[1].(*expr.Cmp)
			if !bytes.Equal(mask.Mask, tc.mask) || !bytes.Equal(cmp.Data, tc.addr) || cmp.Op != op {
				t.Errorf("%s: mask %v, compared by %v with %v", p, mask.Mask, cmp.Op, cmp.Data)
			}
		}
	}
}

func TestDiff(t *testing.T) {
	have := Elements{"stays": "a", "changes": "a", "goes": "a"}
	remove, add := diff(have, Elements{"stays": "a", "changes": "b", "comes": "a"})
	slices.Sort(remove)
	if want := []string{"changes", "goes"}; !slices.Equal(remove, want) {
		t.Errorf("remove %q, want %q", remove, want)
	}
	if want := (Elements{"changes": "b", "comes": "a"}); !maps.Equal(add, want) {
		t.Errorf("add %q, want %q", add, want)
	}
	if remove, add := diff(have, have); len(remove)+len(add) != 0 {
		t.Errorf("between equals: remove %q, add %q", remove, add)
	}
}
