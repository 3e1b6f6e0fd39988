// Package network gives pods addresses on one flat network: a bridge and veths
// on each node, VXLAN (or plain routes) between the nodes.
//
// A pod has its address as a /32 and reaches everything, its neighbours on the
// same bridge too, through the node: so the node's connection tracking sees both
// directions of every service connection, whether or not the kernel shows
// bridged frames to netfilter (br_netfilter).
//
// All names are those of the network namespace of the calling thread; nothing
// outside it is read or changed, so several agents can run on one machine.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/musterhq/muster/agent/network/sysctl"
	"github.com/vishvananda/netlink"
)

// The ways to carry packets between nodes.
const (
	OverlayVXLAN  = "vxlan"
	OverlayRoutes = "routes" // all nodes are on one L2 network
)

const (
	vxlanDevice = "muster-vxlan"
	// routeProtocol marks routes as ours (rtnetlink's rtm_protocol).
	routeProtocol = 77
	vxlanOverhead = 50
)

// Config of a Network.
type Config struct {
	Bridge      string // "muster0" if empty
	PodCIDR     netip.Prefix
	ClusterCIDR netip.Prefix
	ServiceCIDR netip.Prefix
	NodeIP      netip.Addr
	MTU         int    // of pods; if zero, what the device of NodeIP leaves room for
	StateDir    string // addresses are recorded in files here
	Overlay     string // OverlayVXLAN if empty
	VNI         int    // 1 if zero
	Port        int    // 8472 if zero
	Logger      *slog.Logger
}

// Network is this node's part of the pod network. Its methods may be called
// from several goroutines.
type Network struct {
	cfg       Config
	gateway   netip.Addr
	addresses *addresses
	logger    *slog.Logger

	mu     sync.Mutex // guards the fields below, which Setup sets
	mtu    int
	bridge int // link index
}

// New checks the configuration and reads the addresses in use.
func New(cfg Config) (*Network, error) {
	if cfg.Bridge == "" {
		cfg.Bridge = "muster0"
	}
	if cfg.Overlay == "" {
		cfg.Overlay = OverlayVXLAN
	}
	if cfg.VNI == 0 {
		cfg.VNI = 1
	}
	if cfg.Port == 0 {
		cfg.Port = 8472
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("new network: %w", err)
	}
	cfg.PodCIDR = cfg.PodCIDR.Masked()
	a, err := loadAddresses(cfg.StateDir, cfg.PodCIDR)
	if err != nil {
		return nil, fmt.Errorf("new network: %w", err)
	}
	return &Network{cfg: cfg, gateway: cfg.PodCIDR.Addr().Next(), addresses: a, logger: cfg.Logger.With("component", "network")}, nil
}

func (c *Config) validate() error {
	for name, p := range map[string]netip.Prefix{"pod": c.PodCIDR, "cluster": c.ClusterCIDR, "service": c.ServiceCIDR} {
		if !p.IsValid() || !p.Addr().Is4() {
			return fmt.Errorf("%s CIDR %q is not an IPv4 prefix", name, p)
		}
	}
	switch {
	case c.PodCIDR.Bits() > 30:
		return fmt.Errorf("pod CIDR %s has no room for pods", c.PodCIDR)
	case !c.ClusterCIDR.Contains(c.PodCIDR.Addr()):
		return fmt.Errorf("pod CIDR %s is not inside the cluster's %s", c.PodCIDR, c.ClusterCIDR)
	case c.ServiceCIDR.Overlaps(c.ClusterCIDR):
		return fmt.Errorf("service CIDR %s overlaps the pods' %s", c.ServiceCIDR, c.ClusterCIDR)
	case !c.NodeIP.Is4():
		return fmt.Errorf("node address %q is not IPv4", c.NodeIP)
	case c.Overlay != OverlayVXLAN && c.Overlay != OverlayRoutes:
		return fmt.Errorf("overlay %q: must be vxlan or routes", c.Overlay)
	case c.StateDir == "" || c.Logger == nil:
		return errors.New("state directory and logger are required")
	}
	return nil
}

// Setup makes the node ready for pods: sysctls, bridge, VXLAN device, service
// route, masquerade. What is there already stays, with its pods.
func (n *Network) Setup(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	underlay, err := n.underlay()
	if err != nil {
		return fmt.Errorf("set up network: %w", err)
	}
	n.mtu = n.cfg.MTU
	if n.mtu == 0 {
		n.mtu = underlay.Attrs().MTU
		if n.cfg.Overlay == OverlayVXLAN {
			n.mtu -= vxlanOverhead
		}
	}
	if err := sysctl.Set("net/ipv4/ip_forward=1", "net/ipv4/conf/all/rp_filter=2", "net/ipv4/conf/all/send_redirects=0"); err != nil {
		return fmt.Errorf("set up network: %w", err)
	}
	if err := n.ensureBridge(); err != nil {
		return fmt.Errorf("set up bridge %s: %w", n.cfg.Bridge, err)
	}
	if n.cfg.Overlay == OverlayVXLAN {
		if err := n.ensureVXLAN(underlay); err != nil {
			return fmt.Errorf("set up %s: %w", vxlanDevice, err)
		}
	}
	if err := n.ensureMasquerade(); err != nil {
		return fmt.Errorf("set up masquerade: %w", err)
	}
	return n.warnOfDrops()
}

// underlay is the device that has the node's address.
func (n *Network) underlay() (netlink.Link, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if a.IP.Equal(n.cfg.NodeIP.AsSlice()) {
			return netlink.LinkByIndex(a.LinkIndex)
		}
	}
	return nil, fmt.Errorf("no device has the node's address %s", n.cfg.NodeIP)
}

// ensureBridge makes the bridge with the gateway's address, and the route by
// which the node itself reaches services: it gives its connections a source
// address that every node can answer.
func (n *Network) ensureBridge() error {
	link, err := netlink.LinkByName(n.cfg.Bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = n.cfg.Bridge, n.mtu, mac(podMAC, n.gateway)
		link = &netlink.Bridge{LinkAttrs: attrs}
		err = netlink.LinkAdd(link)
	}
	if err != nil {
		return err
	}
	if link.Type() != "bridge" {
		return fmt.Errorf("is a %s already", link.Type())
	}
	n.bridge = link.Attrs().Index
	if link.Attrs().MTU != n.mtu {
		if err := netlink.LinkSetMTU(link, n.mtu); err != nil {
			return fmt.Errorf("set MTU: %w", err)
		}
	}
	if link.Attrs().HardwareAddr.String() != mac(podMAC, n.gateway).String() {
		if err := netlink.LinkSetHardwareAddr(link, mac(podMAC, n.gateway)); err != nil {
			return fmt.Errorf("set hardware address: %w", err)
		}
	}
	if err := setOnlyAddress(&netlink.Handle{}, link, netip.PrefixFrom(n.gateway, n.cfg.PodCIDR.Bits())); err != nil {
		return err
	}
	if err := sysctl.Set("net/ipv4/conf/" + n.cfg.Bridge + "/send_redirects=0"); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	route := &netlink.Route{LinkIndex: n.bridge, Dst: ipNet(n.cfg.ServiceCIDR), Src: n.gateway.AsSlice(),
		Scope: netlink.SCOPE_LINK, Protocol: routeProtocol}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route to services: %w", err)
	}
	return nil
}

// setOnlyAddress gives a device one IPv4 address and takes the others away.
func setOnlyAddress(in *netlink.Handle, link netlink.Link, want netip.Prefix) error {
	if err := in.AddrReplace(link, &netlink.Addr{IPNet: hostNet(want)}); err != nil {
		return fmt.Errorf("add address %s: %w", want, err)
	}
	present, err := in.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for i := range present {
		if present[i].IPNet.String() == want.String() {
			continue
		}
		if err := in.AddrDel(link, &present[i]); err != nil {
			return fmt.Errorf("delete address %s: %w", present[i].IPNet, err)
		}
	}
	return nil
}

// Cleanup removes everything: devices, routes, rules and the recorded addresses.
// Pods that are still attached lose their network.
func (n *Network) Cleanup(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	links, err := netlink.LinkList()
	errs = append(errs, err)
	for _, link := range links {
		if !isPodLink(link) && link.Attrs().Name != n.cfg.Bridge && link.Attrs().Name != vxlanDevice {
			continue
		}
		if err := netlink.LinkDel(link); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
			errs = append(errs, fmt.Errorf("delete %s: %w", link.Attrs().Name, err))
		}
	}
	errs = append(errs, n.removeRoutes(nil), removeMasquerade(), n.addresses.clear())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up network: %w", err)
	}
	return nil
}

// The first bytes of hardware addresses, which are derived from IP addresses:
// peers need not be told, and a remade device keeps its address.
const (
	podMAC   = 0x0a
	vxlanMAC = 0x0e
)

func mac(first byte, addr netip.Addr) net.HardwareAddr {
	b := addr.As4()
	return net.HardwareAddr{first, 0x58, b[0], b[1], b[2], b[3]}
}

func ipNet(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return hostNet(p)
}

// hostNet keeps the host's bits of the address.
func hostNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
