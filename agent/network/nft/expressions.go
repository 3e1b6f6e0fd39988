// Package nft spells nftables expressions for IPv4 tables. The kernel knows only
// registers and bytes; here they have names.
package nft

import (
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Reg is the n-th 4-byte register, 0 to 15. A lookup key of several fields is
// read from consecutive registers.
func Reg(n uint32) uint32 { return unix.NFT_REG32_00 + n }

// Exprs joins groups of expressions into one rule's list.
func Exprs(groups ...[]expr.Any) []expr.Any {
	var out []expr.Any
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

// SourceAddr loads the packet's source address.
func SourceAddr(reg uint32) []expr.Any { return network(reg, 12) }

// DestAddr loads the packet's destination address.
func DestAddr(reg uint32) []expr.Any { return network(reg, 16) }

func network(reg, offset uint32) []expr.Any {
	return []expr.Any{&expr.Payload{OperationType: expr.PayloadLoad, DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}}
}

// Protocol loads the transport protocol's number.
func Protocol(reg uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg}}
}

// DestPort loads the destination port of TCP, UDP and their like.
func DestPort(reg uint32) []expr.Any {
	return []expr.Any{&expr.Payload{OperationType: expr.PayloadLoad, DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}}
}

// In compares a loaded address with a prefix; NotIn is its opposite.
func In(reg uint32, p netip.Prefix) []expr.Any { return masked(reg, p, expr.CmpOpEq) }

// NotIn goes on where the address in reg is outside the prefix.
func NotIn(reg uint32, p netip.Prefix) []expr.Any { return masked(reg, p, expr.CmpOpNeq) }

func masked(reg uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - p.Bits()))
	if p.Bits() == 0 {
		mask = make([]byte, 4)
	}
	addr := p.Masked().Addr().As4()
	return []expr.Any{
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg, Data: addr[:]},
	}
}

// Mark is the bit of the packet mark by which our own tables tell the source
// address translation that a connection needs it. It is Kubernetes' own bit.
const Mark uint32 = 0x4000

// SetMark sets the bit Mark.
func SetMark(reg uint32) []expr.Any { return changeMark(reg, ^Mark, Mark) }

// ClearMark clears it, so that an encapsulated packet does not carry it on.
func ClearMark(reg uint32) []expr.Any { return changeMark(reg, ^Mark, 0) }

func changeMark(reg, mask, xor uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		bits(reg, mask, xor),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg, SourceRegister: true},
	}
}

// HasMark goes on where the bit Mark is set.
func HasMark(reg uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		bits(reg, Mark, 0),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

func bits(reg, mask, xor uint32) expr.Any {
	return &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4,
		Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(xor)}
}

// NewConnection goes on for the first packet of a connection.
func NewConnection(reg uint32) []expr.Any {
	return ctBits(reg, expr.CtKeySTATE, expr.CtStateBitNEW)
}

// Translated goes on where the connection's destination was changed.
func Translated(reg uint32) []expr.Any {
	const ipsDestinationNAT = 0x20
	return ctBits(reg, expr.CtKeySTATUS, ipsDestinationNAT)
}

func ctBits(reg uint32, key expr.CtKey, mask uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg},
		bits(reg, mask, 0),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

// DestNotLocal goes on where the destination is no address of this machine.
func DestNotLocal(reg uint32) []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// OutNot goes on where the packet leaves by another device.
func OutNot(reg uint32, device string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, device)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: reg},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: name},
	}
}

// Member goes on where the key that begins at reg is in the set.
func Member(reg uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set.Name, SetID: set.ID}}
}

// NotMember is the opposite of Member.
func NotMember(reg uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set.Name, SetID: set.ID, Invert: true}}
}

// Verdict ends the rule with the verdict that the map has for the key at reg.
func Verdict(reg uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: set.Name, SetID: set.ID}}
}

// Find loads what the map has for the key at reg to dest.
func Find(reg, dest uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, DestRegister: dest, IsDestRegSet: true, SetName: set.Name, SetID: set.ID}}
}

// Remember puts the key at reg with the 4 bytes at data into a set that forgets
// it after timeout, or makes it last as long again; a datum that is there stays.
// A full set ends the rule.
func Remember(reg, data uint32, set *nftables.Set, timeout time.Duration) []expr.Any {
	return []expr.Any{&expr.Dynset{SrcRegKey: reg, SrcRegData: data, SetName: set.Name, SetID: set.ID,
		Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: timeout}}
}

// Forget removes the key at reg from such a set. The kernel wants to see a datum
// here too.
func Forget(reg, data uint32, set *nftables.Set) []expr.Any {
	const opDelete = 2 // NFT_DYNSET_OP_DELETE
	return []expr.Any{&expr.Dynset{SrcRegKey: reg, SrcRegData: data, SetName: set.Name, SetID: set.ID, Operation: opDelete}}
}

// Opaque leaves 4 bytes that a map gave as they are. The nft of Debian 12 (1.0.6)
// aborts when it lists a rule where such bytes become part of a key or of a set;
// when they went through the packet's priority it does not. The priority is 0
// afterwards: forwarding sets it anew, and for packets of this machine 0 is what
// nearly all have.
func Opaque(reg, spare uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: reg, SourceRegister: true},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: reg},
		&expr.Immediate{Register: spare, Data: make([]byte, 4)},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: spare, SourceRegister: true},
	}
}

// Goto ends the rule in another chain.
func Goto(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

// Masquerade ends the rule: the packet leaves with this machine's address.
func Masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

// RejectTCP refuses with a reset what is TCP and leaves the rest.
func RejectTCP(reg uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
	}
}

// RejectPort refuses with "port unreachable".
func RejectPort() []expr.Any {
	const portUnreachable = 3
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: portUnreachable}}
}
