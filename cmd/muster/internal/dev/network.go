package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	netnsDir       = "/run/netns"
	forwardingFile = "/proc/sys/net/ipv4/ip_forward"
	aliasPrefix    = "muster dev cluster "
	memberDevice   = "eth0"
)

// createNetwork takes a free subnet and makes the cluster's bridge in it.
// Making the bridge is what takes the subnet: its name can be taken once only.
func (c *Cluster) createNetwork() error {
	used, err := usedSubnets()
	if err != nil {
		return err
	}
	for index := 1; index < 255; index++ {
		if used[index] {
			continue
		}
		c.setIndex(index)
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: c.bridge()}}
		err := netlink.LinkAdd(bridge)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return fmt.Errorf("make bridge %s: %w", c.bridge(), err)
		}
		return c.setUpBridge(bridge)
	}
	return errors.New("no subnet of 10.89.0.0/16 is free: `muster dev down` clusters that you no longer need")
}

func (c *Cluster) setUpBridge(bridge *netlink.Bridge) error {
	if err := netlink.LinkSetAlias(bridge, aliasPrefix+c.Name); err != nil {
		return fmt.Errorf("name bridge %s: %w", c.bridge(), err)
	}
	if err := netlink.AddrAdd(bridge, address(c.gateway())); err != nil {
		return fmt.Errorf("address bridge %s: %w", c.bridge(), err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("bring up bridge %s: %w", c.bridge(), err)
	}
	forwarding, err := os.ReadFile(forwardingFile)
	if err != nil {
		return fmt.Errorf("read forwarding: %w", err)
	}
	if strings.TrimSpace(string(forwarding)) == "0" {
		c.ForwardingWasOff = true
		if err := os.WriteFile(forwardingFile, []byte("1"), 0); err != nil {
			return fmt.Errorf("switch forwarding on: %w", err)
		}
	}
	return c.masquerade()
}

// usedSubnets finds the 10.89.X networks that this machine routes anywhere.
func usedSubnets() (map[int]bool, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	used := make(map[int]bool)
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if ip := route.Dst.IP.To4(); ip != nil && ip[0] == 10 && ip[1] == 89 {
			used[int(ip[2])] = true
		}
	}
	return used, nil
}

// masquerade lets members reach what the machine reaches, in a table of the
// cluster's own.
func (c *Cluster) masquerade() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	table := conn.AddTable(&nftables.Table{Name: tableName(c.bridge()), Family: nftables.TableFamilyIPv4})
	chain := conn.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	network := c.gateway().Masked().Addr().As4()
	device := make([]byte, unix.IFNAMSIZ)
	copy(device, c.bridge())
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 3}, // source, its first three octets
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: network[:3]},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: device},
		&expr.Masq{},
	}})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("make nftables table %s: %w", table.Name, err)
	}
	return nil
}

func tableName(bridge string) string { return strings.ReplaceAll(bridge, "-", "_") }

// attach makes a member's network namespace and plugs it into the bridge.
func (c *Cluster) attach(m *Member) error {
	bridge, err := netlink.LinkByName(c.bridge())
	if err != nil {
		return fmt.Errorf("attach %s: bridge %s: %w", m.Name, c.bridge(), err)
	}
	err = inNewNamespace(c.netns(m), func(namespace netns.NsHandle) error {
		return c.plug(m, bridge, namespace)
	})
	if err != nil {
		return fmt.Errorf("attach %s: %w", m.Name, err)
	}
	return nil
}

// plug runs on a thread that is in the member's namespace; outside is the
// machine's own.
func (c *Cluster) plug(m *Member, bridge netlink.Link, outside netns.NsHandle) error {
	host, err := netlink.NewHandleAt(outside)
	if err != nil {
		return err
	}
	defer host.Close()
	inside, err := netns.Get()
	if err != nil {
		return err
	}
	defer inside.Close()
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: c.veth(m), MasterIndex: bridge.Attrs().Index},
		PeerName:      memberDevice,
		PeerNamespace: netlink.NsFd(inside),
		// A machine keeps its address through a power cut; with another one
		// its neighbours would send to the old for up to ten seconds.
		PeerHardwareAddr: hardwareAddress(m.IP),
	}
	if err := host.LinkAdd(veth); err != nil {
		return fmt.Errorf("make veth %s: %w", c.veth(m), err)
	}
	if err := host.LinkSetUp(veth); err != nil {
		return fmt.Errorf("bring up veth %s: %w", c.veth(m), err)
	}
	for _, name := range []string{"lo", memberDevice} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		if name == memberDevice {
			if err := netlink.AddrAdd(link, address(netip.PrefixFrom(m.IP, 24))); err != nil {
				return fmt.Errorf("address %s: %w", name, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	return netlink.RouteAdd(&netlink.Route{Gw: net.IP(c.gateway().Addr().AsSlice())})
}

// hardwareAddress is locally administered and the same for the same address.
func hardwareAddress(ip netip.Addr) net.HardwareAddr {
	return append(net.HardwareAddr{0x02, 0x58}, ip.AsSlice()...)
}

// inNewNamespace makes a named network namespace and runs f on a thread inside
// it, handing it the namespace the caller is in.
func inNewNamespace(name string, f func(outside netns.NsHandle) error) error {
	done := make(chan error, 1)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and no other
		// runs in the wrong namespace.
		runtime.LockOSThread()
		done <- func() error {
			outside, err := netns.Get()
			if err != nil {
				return err
			}
			defer outside.Close()
			if err := shareNamespaces(); err != nil {
				return err
			}
			inside, err := netns.NewNamed(name)
			if err != nil {
				return fmt.Errorf("make network namespace %s: %w", name, err)
			}
			defer inside.Close()
			return f(outside)
		}()
	}()
	return <-done
}

// detach removes a member's namespace; with its last process gone its devices
// go too, and with them the veth's other end.
func (c *Cluster) detach(m *Member) error {
	link, err := netlink.LinkByName(c.veth(m))
	if err == nil {
		err = netlink.LinkDel(link)
	}
	var missing netlink.LinkNotFoundError
	if err != nil && !errors.As(err, &missing) {
		return fmt.Errorf("remove veth %s: %w", c.veth(m), err)
	}
	return removeNamespace(c.netns(m))
}

// shareNamespaces makes the directory of named namespaces a shared mount, as
// iproute2 does. Otherwise the first `ip netns` on this machine would do it, and
// hide the mounts that are there already below one that nobody can reach.
func shareNamespaces() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", netnsDir, err)
	}
	err := unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // no mount yet
		if err = unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("share %s: %w", netnsDir, err)
	}
	return nil
}

// unshareNamespaces takes that back with the last namespace, whoever's it was.
func unshareNamespaces() {
	if entries, err := os.ReadDir(netnsDir); err == nil && len(entries) == 0 {
		_ = unix.Unmount(netnsDir, 0) // still in use, or never mounted
	}
}

func removeNamespace(name string) error {
	err := netns.DeleteNamed(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOENT) {
		// A file that nothing is mounted on is what a crash between the two leaves.
		if errors.Is(err, unix.EINVAL) {
			return os.Remove(filepath.Join(netnsDir, name))
		}
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	return nil
}

// setLink takes a member's cable out, or puts it in again.
func (c *Cluster) setLink(m *Member, up bool) error {
	link, err := netlink.LinkByName(c.veth(m))
	if err != nil {
		return fmt.Errorf("cable of %s: %w", m.Name, err)
	}
	if up {
		err = netlink.LinkSetUp(link)
	} else {
		err = netlink.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("cable of %s: %w", m.Name, err)
	}
	return nil
}

func (c *Cluster) isCut(m *Member) bool {
	link, err := netlink.LinkByName(c.veth(m))
	return err == nil && link.Attrs().Flags&net.FlagUp == 0
}

// removeNetwork removes bridges and tables of the named cluster, whatever their
// index: the state may be lost.
func removeNetwork(name string) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if link.Attrs().Alias != aliasPrefix+name {
			continue
		}
		bridge := link.Attrs().Name
		if err := removeTable(tableName(bridge)); err != nil {
			return err
		}
		if index, err := strconv.Atoi(strings.TrimPrefix(bridge, "muster-dev")); err == nil {
			if err := removeVeths("md" + strconv.Itoa(index) + "-"); err != nil {
				return err
			}
		}
		if err := netlink.LinkDel(link); err != nil {
			return fmt.Errorf("remove bridge %s: %w", bridge, err)
		}
	}
	return nil
}

func removeVeths(prefix string) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if !strings.HasPrefix(link.Attrs().Name, prefix) {
			continue
		}
		var missing netlink.LinkNotFoundError
		if err := netlink.LinkDel(link); err != nil && !errors.As(err, &missing) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove veth %s: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

func removeTable(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("list nftables tables: %w", err)
	}
	for _, table := range tables {
		if table.Name == name {
			conn.DelTable(table)
			if err := conn.Flush(); err != nil {
				return fmt.Errorf("remove nftables table %s: %w", name, err)
			}
		}
	}
	return nil
}

// otherClusters says whether any bridge of a cluster is left.
func otherClusters() (bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return false, fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Alias, aliasPrefix) {
			return true, nil
		}
	}
	return false, nil
}

func address(prefix netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}}
}
