package ipvs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// device holds the services' addresses, so that the kernel takes packets for
// them in, where IPVS waits. It carries nothing and answers no ARP.
const device = "muster-ipvs"

func ensureDevice() (netlink.Link, error) {
	link, err := netlink.LinkByName(device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = device
		link = &netlink.Dummy{LinkAttrs: attrs}
		err = netlink.LinkAdd(link)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return nil, fmt.Errorf("make device %s: %w", device, err)
	}
	return link, nil
}

// addresses on the device.
func addresses(link netlink.Link) (map[netip.Addr]bool, error) {
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", device, err)
	}
	out := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			out[addr] = true
		}
	}
	return out, nil
}

func host(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
}

func addAddresses(link netlink.Link, present, want map[netip.Addr]bool) error {
	for a := range want {
		if present[a] {
			continue
		}
		if err := netlink.AddrReplace(link, host(a)); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, device, err)
		}
	}
	return nil
}

func removeAddresses(link netlink.Link, present, want map[netip.Addr]bool) error {
	var errs []error
	for a := range present {
		if want[a] {
			continue
		}
		if err := netlink.AddrDel(link, host(a)); err != nil {
			errs = append(errs, fmt.Errorf("delete address %s from %s: %w", a, device, err))
		}
	}
	return errors.Join(errs...)
}

func removeDevice() error {
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err == nil || errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", device, err)
}
