package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	podDevice     = "eth0"
	podLinkPrefix = "mp"
)

// Attach connects the pod whose network namespace is pinned at netnsPath and
// returns its address. It can be repeated: a pod keeps its address, and a half
// made attachment is made whole. Setup must have succeeded before.
func (n *Network) Attach(ctx context.Context, podUID, netnsPath string) (netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return netip.Addr{}, err
	}
	n.mu.Lock()
	bridge, mtu := n.bridge, n.mtu
	n.mu.Unlock()
	if bridge == 0 {
		return netip.Addr{}, fmt.Errorf("attach pod %s: the network is not set up", podUID)
	}
	addr, err := n.addresses.allocate(podUID)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("attach pod %s: %w", podUID, err)
	}
	if err := n.connect(podUID, netnsPath, addr, bridge, mtu); err != nil {
		return netip.Addr{}, fmt.Errorf("attach pod %s: %w", podUID, err)
	}
	return addr, nil
}

func (n *Network) connect(podUID, netnsPath string, addr netip.Addr, bridge, mtu int) error {
	ns, err := netns.GetFromPath(netnsPath)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", netnsPath, err)
	}
	defer func() { _ = ns.Close() }()
	pod, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("enter namespace %s: %w", netnsPath, err)
	}
	defer pod.Close()

	device, err := pod.LinkByName(podDevice)
	if err != nil || !n.connected(podUID, device, bridge) {
		if device, err = n.makeVeth(podUID, ns, pod, addr, bridge, mtu); err != nil {
			return err
		}
	}
	return n.configure(pod, device, addr)
}

// connected tells whether the pod's device has its other end on the bridge.
func (n *Network) connected(podUID string, device netlink.Link, bridge int) bool {
	host, err := netlink.LinkByName(podLinkName(podUID))
	return err == nil && host.Attrs().MasterIndex == bridge && host.Attrs().ParentIndex == device.Attrs().Index
}

// makeVeth makes the pair with the pod's end in its namespace from the start.
func (n *Network) makeVeth(podUID string, ns netns.NsHandle, pod *netlink.Handle, addr netip.Addr, bridge, mtu int) (netlink.Link, error) {
	if err := deleteLink(podLinkName(podUID)); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = podLinkName(podUID), mtu, bridge
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = podDevice, netlink.NsFd(ns)
	veth.PeerHardwareAddr, veth.PeerMTU = mac(podMAC, addr), uint32(mtu)
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("add veth %s: %w", attrs.Name, err)
	}
	// A pod reaches itself through a service where bridged frames are translated.
	if err := netlink.LinkSetHairpin(veth, true); err != nil {
		return nil, fmt.Errorf("set hairpin on %s: %w", attrs.Name, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return nil, fmt.Errorf("set up %s: %w", attrs.Name, err)
	}
	device, err := pod.LinkByName(podDevice)
	if err != nil {
		return nil, fmt.Errorf("find %s in the pod: %w", podDevice, err)
	}
	return device, nil
}

// configure gives the pod's end its address and routes: everything goes through
// the gateway.
func (n *Network) configure(pod *netlink.Handle, device netlink.Link, addr netip.Addr) error {
	lo, err := pod.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo in the pod: %w", err)
	}
	for _, link := range []netlink.Link{lo, device} {
		if err := pod.LinkSetUp(link); err != nil {
			return fmt.Errorf("set up %s in the pod: %w", link.Attrs().Name, err)
		}
	}
	if err := setOnlyAddress(pod, device, netip.PrefixFrom(addr, 32)); err != nil {
		return err
	}
	index, gateway := device.Attrs().Index, net.IP(n.gateway.AsSlice())
	toGateway := &netlink.Route{LinkIndex: index, Scope: netlink.SCOPE_LINK, Dst: hostNet(netip.PrefixFrom(n.gateway, 32))}
	if err := pod.RouteReplace(toGateway); err != nil {
		return fmt.Errorf("add route to the gateway %s: %w", gateway, err)
	}
	if err := pod.RouteReplace(&netlink.Route{LinkIndex: index, Gw: gateway}); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	return nil
}

// Detach disconnects a pod and frees its address. It can be repeated, also when
// the namespace (netnsPath) is gone already.
func (n *Network) Detach(ctx context.Context, podUID, netnsPath string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The pod's end of the veth goes with the host's end.
	if err := deleteLink(podLinkName(podUID)); err != nil {
		return fmt.Errorf("detach pod %s: %w", podUID, err)
	}
	if err := n.addresses.release(podUID); err != nil {
		return fmt.Errorf("detach pod %s: %w", podUID, err)
	}
	return nil
}

// Allocated returns the addresses of pods by UID, also of pods that were
// attached by an earlier process.
func (n *Network) Allocated() (map[string]netip.Addr, error) {
	return n.addresses.all(), nil
}

// podLinkName is the host's end of a pod's veth. UIDs are longer than the
// names of devices may be.
func podLinkName(podUID string) string {
	sum := sha256.Sum256([]byte(podUID))
	return podLinkPrefix + hex.EncodeToString(sum[:6])
}

func isPodLink(link netlink.Link) bool {
	name := link.Attrs().Name
	return link.Type() == "veth" && strings.HasPrefix(name, podLinkPrefix) && len(name) == len(podLinkPrefix)+12
}

func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	// Its namespace may have taken the link along in the meantime.
	if err == nil || errors.As(err, &netlink.LinkNotFoundError{}) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", name, err)
}
