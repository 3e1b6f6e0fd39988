package nft

import "net/netip"

// AddrKey is an address as part of a set's key.
func AddrKey(a netip.Addr) string {
	b := a.As4()
	return string(b[:])
}

// PortKey is a port as part of a key: in network order, padded to a register.
func PortKey(port uint16) string {
	return string([]byte{byte(port >> 8), byte(port), 0, 0})
}

// ProtocolKey is a protocol number as part of a key.
func ProtocolKey(number byte) string { return string([]byte{number, 0, 0, 0}) }
