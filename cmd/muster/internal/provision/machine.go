package provision

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// HostName is the name that a member has when none is given, which is the host's.
func HostName(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this host (give one with --name): %w", err)
	}
	return strings.ToLower(name), nil
}

// HostAddress is the address that a member has: the one given by the flag, else
// the one that this machine has towards its default route.
func HostAddress(flag, given string) (netip.Addr, error) {
	if given == "" {
		address, err := routeAddress()
		if err != nil {
			return netip.Addr{}, fmt.Errorf("find this machine's address (give it with --%s): %w", flag, err)
		}
		return address, nil
	}
	address, err := netip.ParseAddr(given)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--%s: %w", flag, err)
	}
	return address, nil
}

func routeAddress() (netip.Addr, error) {
	// Connecting a UDP socket sends nothing; it only chooses a route.
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
