package nft_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/nft"
)

// What is lost is lost where it would arrive; what clients would get, where it is sent.
func TestScript(t *testing.T) {
	address := map[string]netip.Addr{
		"a": netip.MustParseAddr("10.0.0.1"), "b": netip.MustParseAddr("10.0.0.2"), chaos.Outside: netip.MustParseAddr("10.0.0.254"),
	}
	links := map[chaos.Pair]chaos.Quality{
		{From: "a", To: "b"}:           {Lost: true},
		{From: "b", To: "a"}:           {Delay: 200 * time.Millisecond},
		{From: "a", To: chaos.Outside}: {Lost: true},
		{From: chaos.Outside, To: "b"}: {Lost: true},
	}
	for member, want := range map[string][]string{
		"a": {"ip saddr 10.0.0.2 numgen random mod 100 < 15 drop", "ip daddr 10.0.0.254 drop"},
		"b": {"ip saddr 10.0.0.1 drop", "ip saddr 10.0.0.254 drop"},
	} {
		script := nft.Script(member, links, func(m string) netip.Addr { return address[m] })
		if got := strings.Count(script, "ip saddr") + strings.Count(script, "ip daddr"); got != len(want) {
			t.Errorf("%s has %d rules, want %d:\n%s", member, got, len(want), script)
		}
		for _, rule := range want {
			if !strings.Contains(script, rule+"\n") {
				t.Errorf("%s lacks %q:\n%s", member, rule, script)
			}
		}
	}
}
