//go:build root && ipvs

package ipvs_test

import (
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/nftables"
	kernel "github.com/moby/ipvs"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/conformance"
	"github.com/musterhq/muster/agent/proxy/ipvs"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Suite{
		New: func() (proxy.Applier, error) {
			// The affinity of a client lasts for as long as its UDP flows, of which
			// nothing but time (5 minutes otherwise) tells the end.
			if err := setUDPTimeout(time.Second); err != nil {
				return nil, err
			}
			return newApplier()
		},
		Sabotage:  sabotage,
		Foreign:   foreign,
		Leftovers: leftovers,
	})
}

func newApplier() (proxy.Applier, error) {
	return ipvs.New(ipvs.Config{Logger: slog.New(slog.DiscardHandler)})
}

func setUDPTimeout(d time.Duration) error {
	handle, err := kernel.New("")
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.SetConfig(&kernel.Config{TimeoutUDP: d})
}

func sabotage() error {
	handle, err := kernel.New("")
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := handle.Flush(); err != nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	conn.FlushTable(&nftables.Table{Name: "muster-proxy", Family: nftables.TableFamilyIPv4})
	if err := conn.Flush(); err != nil {
		return err
	}
	link, err := netlink.LinkByName("muster-ipvs")
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

func foreign() error {
	handle, err := kernel.New("")
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.NewService(&kernel.Service{Address: net.IPv4(203, 0, 113, 1).To4(), Protocol: unix.IPPROTO_TCP, Port: 80,
		AddressFamily: unix.AF_INET, SchedName: kernel.RoundRobin, Netmask: 0xffffffff})
}

func leftovers() ([]string, error) {
	handle, err := kernel.New("")
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	var out []string
	servers, err := handle.GetServices()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		out = append(out, fmt.Sprintf("virtual server %s:%d", s.Address, s.Port))
	}
	if link, err := netlink.LinkByName("muster-ipvs"); err == nil {
		out = append(out, "device "+link.Attrs().Name)
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := conn.ListTables()
	for _, t := range tables {
		if t.Name != "muster-network" {
			out = append(out, "table "+t.Name)
		}
	}
	return out, err
}
