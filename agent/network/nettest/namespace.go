//go:build root

// Package nettest makes small networks of network namespaces, with servers and
// clients in them, for tests. A namespace lives as long as its file descriptor,
// so nothing is left behind however the test ends.
package nettest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace.
type Namespace struct {
	Name   string
	handle netns.NsHandle
}

// New makes an empty namespace with lo up. It goes when the test ends.
func New(t testing.TB, name string) *Namespace {
	t.Helper()
	ns := &Namespace{Name: name}
	var err error
	onOwnThread(func() { ns.handle, err = netns.New() })
	if err != nil {
		t.Fatalf("make namespace %s: %v", name, err)
	}
	t.Cleanup(func() { _ = ns.handle.Close() })
	ns.Do(t, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return ns
}

// Path names the namespace for as long as the test runs.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.handle))
}

// Handle is the namespace's descriptor.
func (n *Namespace) Handle() netns.NsHandle { return n.handle }

// Do runs f in the namespace and ends the test on an error.
func (n *Namespace) Do(t testing.TB, f func() error) {
	t.Helper()
	if err := n.Try(f); err != nil {
		t.Fatalf("in namespace %s: %v", n.Name, err)
	}
}

// Try runs f in the namespace, on a thread of its own.
func (n *Namespace) Try(f func() error) (err error) {
	onOwnThread(func() {
		if err = netns.Set(n.handle); err == nil {
			err = f()
		}
	})
	return err
}

// onOwnThread runs f on a thread that ends with it, so that what f does to the
// thread's namespace cannot leak.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked
		defer close(done)
		f()
	}()
	<-done
}

// Dial opens a connection from the namespace.
func (n *Namespace) Dial(network string, to netip.AddrPort, timeout time.Duration) (conn net.Conn, err error) {
	err = n.Try(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, to.String())
		return err
	})
	return conn, err
}

// Veth connects two namespaces by a pair of devices.
func Veth(t testing.TB, a *Namespace, aDevice string, b *Namespace, bDevice string) {
	t.Helper()
	a.Do(t, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = aDevice
		veth := netlink.NewVeth(attrs)
		veth.PeerName, veth.PeerNamespace = bDevice, netlink.NsFd(b.handle)
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return netlink.LinkSetUp(veth)
	})
	b.Do(t, func() error {
		link, err := netlink.LinkByName(bDevice)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

// AddAddress gives a device of the namespace an address.
func (n *Namespace) AddAddress(t testing.TB, device string, p netip.Prefix) {
	t.Helper()
	n.Do(t, func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}})
	})
}

// Switch makes an L2 network of its own and connects each namespace to it by a
// device eth0 with the address.
func Switch(t testing.TB, members map[*Namespace]netip.Prefix) *Namespace {
	t.Helper()
	sw := New(t, "switch")
	sw.Do(t, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br0"
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
	port := 0
	for member, address := range members {
		port++
		name := fmt.Sprintf("port%d", port)
		Veth(t, sw, name, member, "eth0")
		member.AddAddress(t, "eth0", address)
		sw.Do(t, func() error {
			bridge, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.LinkSetMaster(link, bridge)
		})
	}
	return sw
}
