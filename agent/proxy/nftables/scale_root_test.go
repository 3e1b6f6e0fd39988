//go:build root

package nftables_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	kernel "github.com/google/nftables"
	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/nftables"
)

// TestTenThousand wants that a whole large cluster fits into one transaction,
// and that one change among it costs little.
func TestTenThousand(t *testing.T) {
	rules := proxy.Rules{ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12")}
	for i := range 10_000 {
		s := proxy.Service{Name: fmt.Sprintf("default/s%d:", i), Protocol: proxy.TCP, Port: 80,
			ClusterIP: netip.AddrFrom4([4]byte{10, 97, byte(i >> 8), byte(i)})}
		for j := range 3 {
			s.Endpoints = append(s.Endpoints, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(i >> 6), byte(4*i + j)}), 8000))
		}
		rules.Services = append(rules.Services, s)
	}
	nettest.New(t, "node").Do(t, func() error {
		a, err := nftables.New(nftables.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		took := map[string]time.Duration{}
		for _, step := range []string{"first", "one changed", "none changed"} {
			if step == "one changed" {
				rules.Services[5000].Endpoints = rules.Services[5000].Endpoints[:2]
			}
			start := time.Now()
			if err := a.Sync(t.Context(), rules); err != nil {
				return err
			}
			took[step] = time.Since(start)
		}
		t.Logf("10,000 services of 3 endpoints: %v", took)
		if took["one changed"] > took["first"] {
			t.Errorf("one change took %s, all took %s", took["one changed"], took["first"])
		}
		conn, err := kernel.New()
		if err != nil {
			return err
		}
		set, err := conn.GetSetByName(&kernel.Table{Name: "muster-proxy", Family: kernel.TableFamilyIPv4}, "endpoints")
		if err != nil {
			return err
		}
		got, err := conn.GetSetElements(set)
		if len(got) != 29_999 {
			t.Errorf("the kernel has %d endpoints, want 29,999", len(got))
		}
		return err
	})
}
