package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ensureDevice makes a device without a link that holds the address, in the network
// namespace of the calling thread.
func ensureDevice(name string, address netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		link = &netlink.Dummy{LinkAttrs: attrs}
		err = netlink.LinkAdd(link)
		if errors.Is(err, unix.EOPNOTSUPP) {
			// A kernel without dummy devices: a bridge without ports holds an
			// address as well.
			link = &netlink.Bridge{LinkAttrs: attrs}
			err = netlink.LinkAdd(link)
		}
	}
	if err != nil {
		return err
	}
	if link.Type() != "dummy" && link.Type() != "bridge" {
		return fmt.Errorf("is a %s already", link.Type())
	}
	host := &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(32, 32)}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: host}); err != nil {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	return netlink.LinkSetUp(link)
}

// RemoveDevice removes the device that Run made; it is no error if there is none.
func RemoveDevice(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err == nil || errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", name, err)
}
