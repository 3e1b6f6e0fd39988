//go:build root && !ipvs

// Needs Debian's nft, which the machine of the ipvs tests does not have.

package nftables_test

import (
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/nftables"
)

// TestTableIsReadable wants that an administrator can read the table with nft.
func TestTableIsReadable(t *testing.T) {
	node := nettest.New(t, "node")
	rules := proxy.Rules{NodeAddresses: []netip.Addr{netip.MustParseAddr("192.168.77.1")},
		ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		Services: []proxy.Service{{Name: "default/whoami:", Protocol: proxy.TCP, ClusterIP: netip.MustParseAddr("10.96.7.7"),
			Port: 80, NodePort: 30080,
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.244.1.2:8000"), netip.MustParseAddrPort("10.244.2.2:8000")}}}}
	sticky := rules.Services[0]
	sticky.Port, sticky.NodePort, sticky.Affinity = 81, 30081, time.Hour
	rules.Services = append(rules.Services, sticky)
	var listed []byte
	node.Do(t, func() error {
		a, err := nftables.New(nftables.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		if err := a.Sync(t.Context(), rules); err != nil {
			return err
		}
		listed, err = exec.Command("nft", "list", "ruleset").CombinedOutput()
		return err
	})
	for _, want := range []string{
		"10.96.7.7 . tcp . 80 : goto cluster-2",
		"10.96.7.7 . tcp . 81 : goto cluster-2-",
		"-sticky-3600",
		"update @clients { ip saddr . ip daddr . meta l4proto . th dport timeout 1h : meta priority }",
		"tcp . 30080 : goto node-2",
		"10.244.1.2 . 8000",
		"ip saddr . ip daddr @hairpin masquerade",
		"numgen inc mod 2",
	} {
		if !strings.Contains(string(listed), want) {
			t.Errorf("nft does not list %q in:\n%s", want, listed)
		}
	}
}
