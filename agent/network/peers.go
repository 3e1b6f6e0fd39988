package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Peer is another node of the cluster.
type Peer struct {
	Node    string
	NodeIP  netip.Addr
	PodCIDR netip.Prefix
}

// ensureVXLAN makes the device that carries packets to peers. It learns nothing
// from the network: SyncPeers writes its tables.
func (n *Network) ensureVXLAN(underlay netlink.Link) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = vxlanDevice, n.mtu, mac(vxlanMAC, n.cfg.NodeIP)
	want := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: n.cfg.VNI, VtepDevIndex: underlay.Attrs().Index,
		SrcAddr: n.cfg.NodeIP.AsSlice(), Port: n.cfg.Port, Learning: false}
	present, err := netlink.LinkByName(vxlanDevice)
	if err == nil && !sameVXLAN(present, want) {
		if err := netlink.LinkDel(present); err != nil {
			return fmt.Errorf("delete the one with other settings: %w", err)
		}
	}
	var link netlink.Link = want
	switch {
	case err == nil && sameVXLAN(present, want):
		link = present
	case err == nil || errors.As(err, &netlink.LinkNotFoundError{}):
		if err := netlink.LinkAdd(want); err != nil {
			return fmt.Errorf("add: %w", err)
		}
	default:
		return err
	}
	// Masquerade takes the address of the device a packet leaves by: the pod
	// range's first one, which peers route back here.
	if err := setOnlyAddress(&netlink.Handle{}, link, netip.PrefixFrom(n.cfg.PodCIDR.Addr(), 32)); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func sameVXLAN(link netlink.Link, want *netlink.Vxlan) bool {
	got, ok := link.(*netlink.Vxlan)
	return ok && got.VxlanId == want.VxlanId && got.Port == want.Port && got.VtepDevIndex == want.VtepDevIndex &&
		got.SrcAddr.Equal(want.SrcAddr) && !got.Learning && got.MTU == want.MTU &&
		got.HardwareAddr.String() == want.HardwareAddr.String()
}

// SyncPeers makes the pods of exactly these nodes reachable. This node may be
// among them.
func (n *Network) SyncPeers(ctx context.Context, peers []Peer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	wanted := make([]Peer, 0, len(peers))
	for _, p := range peers {
		p.PodCIDR = p.PodCIDR.Masked()
		if p.NodeIP == n.cfg.NodeIP || p.PodCIDR == n.cfg.PodCIDR {
			continue
		}
		if !p.NodeIP.Is4() || !p.PodCIDR.IsValid() || !p.PodCIDR.Addr().Is4() {
			continue // a node that has no address or no range yet
		}
		wanted = append(wanted, p)
	}
	sync := n.syncRoutes
	if n.cfg.Overlay == OverlayVXLAN {
		sync = n.syncVXLAN
	}
	if err := sync(wanted); err != nil {
		return fmt.Errorf("sync peers: %w", err)
	}
	return nil
}

func (n *Network) syncRoutes(peers []Peer) error {
	for _, p := range peers {
		route := &netlink.Route{Dst: ipNet(p.PodCIDR), Gw: p.NodeIP.AsSlice(), Protocol: routeProtocol}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route to node %s: %w", p.Node, err)
		}
	}
	return n.removeRoutes(peers)
}

func (n *Network) syncVXLAN(peers []Peer) error {
	link, err := netlink.LinkByName(vxlanDevice)
	if err != nil {
		return fmt.Errorf("find %s: %w", vxlanDevice, err)
	}
	index := link.Attrs().Index
	keep := make(map[string]bool, 2*len(peers))
	for _, p := range peers {
		for _, e := range peerNeighbours(index, p) {
			if err := netlink.NeighSet(e); err != nil {
				return fmt.Errorf("neighbour entry of node %s: %w", p.Node, err)
			}
			keep[neighbourKey(e)] = true
		}
		route := &netlink.Route{LinkIndex: index, Dst: ipNet(p.PodCIDR), Gw: p.PodCIDR.Addr().AsSlice(),
			Flags: int(netlink.FLAG_ONLINK), Protocol: routeProtocol}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route to node %s: %w", p.Node, err)
		}
	}
	return errors.Join(n.removeRoutes(peers), removeNeighbours(index, keep))
}

// peerNeighbours are a peer's two entries: which hardware address its pod range
// is behind, and at which node that hardware address is.
func peerNeighbours(index int, p Peer) []*netlink.Neigh {
	hardware := mac(vxlanMAC, p.NodeIP)
	return []*netlink.Neigh{
		{LinkIndex: index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF,
			IP: p.NodeIP.AsSlice(), HardwareAddr: hardware},
		{LinkIndex: index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, Type: unix.RTN_UNICAST,
			IP: p.PodCIDR.Addr().AsSlice(), HardwareAddr: hardware},
	}
}

func neighbourKey(e *netlink.Neigh) string {
	return fmt.Sprintf("%d %s %s", e.Family, e.IP, e.HardwareAddr)
}

func removeNeighbours(index int, keep map[string]bool) error {
	var errs []error
	for _, family := range []int{unix.AF_BRIDGE, unix.AF_INET} {
		present, err := netlink.NeighList(index, family)
		if err != nil {
			errs = append(errs, fmt.Errorf("list neighbour entries: %w", err))
			continue
		}
		for i := range present {
			e := &present[i]
			e.Family = family
			if keep[neighbourKey(e)] || e.State&netlink.NUD_PERMANENT == 0 {
				continue
			}
			if err := netlink.NeighDel(e); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("delete neighbour entry %s: %w", e.IP, err))
			}
		}
	}
	return errors.Join(errs...)
}

// removeRoutes removes our routes to all but these peers; nil removes all.
// The route to services stays while the bridge does.
func (n *Network) removeRoutes(keep []Peer) error {
	wanted := map[string]bool{n.cfg.ServiceCIDR.Masked().String(): true}
	for _, p := range keep {
		wanted[p.PodCIDR.String()] = true
	}
	present, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	var errs []error
	for i := range present {
		if present[i].Dst != nil && wanted[present[i].Dst.String()] {
			continue
		}
		if err := netlink.RouteDel(&present[i]); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("delete route to %s: %w", present[i].Dst, err))
		}
	}
	return errors.Join(errs...)
}
