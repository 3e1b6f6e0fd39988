package network

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestAddresses(t *testing.T) {
	dir, cidr := t.TempDir(), netip.MustParsePrefix("10.244.3.0/28")
	a, err := loadAddresses(dir, cidr)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]bool{}
	for i := range 13 { // 16 without network, gateway and broadcast
		addr, err := a.allocate(fmt.Sprintf("pod%d", i))
		if err != nil {
			t.Fatal(err)
		}
		switch addr.String() {
		case "10.244.3.0", "10.244.3.1", "10.244.3.15":
			t.Errorf("gave %s", addr)
		}
		if seen[addr] || !cidr.Contains(addr) {
			t.Errorf("gave %s twice or from outside %s", addr, cidr)
		}
		seen[addr] = true
	}
	if addr, err := a.allocate("one too many"); err == nil {
		t.Errorf("gave %s from a full range", addr)
	}
	if err := a.release("pod7"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.allocate("another"); err != nil {
		t.Errorf("a freed address is not given again: %v", err)
	}
}

func TestAddressesSurviveInterruptedWrites(t *testing.T) {
	dir, cidr := t.TempDir(), netip.MustParsePrefix("10.244.3.0/24")
	for name, content := range map[string]string{"10.244.3.7": "pod\n", "10.244.3.8": "", "tmp-10.244.3.9": "oth"} {
		if err := os.MkdirAll(filepath.Join(dir, "addresses"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "addresses", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := loadAddresses(dir, cidr)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.all(); len(got) != 1 || got["pod"] != netip.MustParseAddr("10.244.3.7") {
		t.Errorf("loaded %v, want only the whole record", got)
	}
}

func TestAddressesFollowTheRange(t *testing.T) {
	dir := t.TempDir()
	for _, cidr := range []string{"10.244.3.0/24", "10.244.7.0/24"} {
		a, err := loadAddresses(dir, netip.MustParsePrefix(cidr))
		if err != nil {
			t.Fatal(err)
		}
		addr, err := a.allocate("pod")
		if err != nil || !a.cidr.Contains(addr) {
			t.Errorf("gave %s, %v; want one of %s", addr, err, cidr)
		}
		if got := a.all(); len(got) != 1 || got["pod"] != addr {
			t.Errorf("recorded %v", got)
		}
	}
}
